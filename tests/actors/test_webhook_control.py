"""What becomes of an endpoint's secrets when its instance refuses, does not answer, or is asked twice at once."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from datetime import UTC, datetime
from pathlib import Path
from threading import Event
from typing import Any, cast

import msgspec
import pytest

from chatbot_erp.actors.config import Config
from chatbot_erp.actors.directory import Directory
from chatbot_erp.actors.endpoint import ConfigureEndpoint
from chatbot_erp.actors.errors import EndpointNotFound, OutcomeUnknown, Unavailable
from chatbot_erp.actors.instance import decide
from chatbot_erp.actors.state import State, evolve
from chatbot_erp.actors.webhook_control import WebhookControl
from chatbot_erp.actors.webhook_credentials import Credentials
from chatbot_erp.eventstore.events import InstanceCreated
from chatbot_erp.eventstore.records import MAIN
from chatbot_erp.eventstore.store import EventStore
from chatbot_erp.eventstore.vault import Vault

NOW = datetime(2026, 1, 1, tzinfo=UTC)
CRM = ConfigureEndpoint(endpoint="crm", url="http://receiver/crm")
TIME_FOR_A_RACE_S = 0.2
"""That the one who must wait would need to get in between, were there no lock."""

PATIENCE_S = 60


class World:
    """One instance, `a`, that carries out what it is asked once `before` has let it."""

    def __init__(self, directory: Path) -> None:
        self.vault = Vault.open(directory)
        self.store = EventStore.open(directory)
        self.directory = Directory()
        self.directory.enter("a", "a", cast(Any, None))
        self.state: State = None
        self.evolve(InstanceCreated(name="a", webhook_url="http://receiver/", session_from=None))
        self.before: Callable[[], None] = lambda: None
        self.control = WebhookControl(
            self.store, self.vault, self.directory, Config(data_dir=directory), lambda: NOW, self.ask
        )

    def ask(self, name: str, command: Any) -> None:
        self.before()
        for event in decide(self.state, command):
            self.evolve(event)

    def evolve(self, event: Any) -> None:
        self.state = evolve(self.state, event, NOW)
        assert self.state is not None
        self.directory.publish("a", self.state, None)

    def fail(self, error: Exception) -> None:
        def before() -> None:
            raise error

        self.before = before

    def credentials(self, endpoint: str) -> Credentials:
        return Credentials(self.vault, "a", endpoint)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    yield world
    world.store.close()
    world.vault.close()


def at_once(
    world: World, one: Callable[[], Any], other: Callable[[], Any], *, error: Exception | None = None
) -> tuple[Future[Any], Future[Any]]:
    """Begin the other while the one is carried out, which ends in `error`."""
    asked, goes_on = Event(), Event()

    def before() -> None:
        if asked.is_set():
            return
        asked.set()
        assert goes_on.wait(PATIENCE_S)
        if error is not None:
            raise error

    world.before = before
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(one)
        assert asked.wait(PATIENCE_S)
        second = pool.submit(other)
        wait([second], TIME_FOR_A_RACE_S)
        goes_on.set()
    return first, second


@pytest.mark.parametrize(("error", "taken_back"), [(Unavailable("Full."), True), (OutcomeUnknown("Late."), False)])
def test_only_a_rotation_that_is_refused_is_taken_back(world: World, error: Exception, taken_back: bool) -> None:
    known, _ = world.control.rotate("a", MAIN, None, 60)
    world.fail(error)
    with pytest.raises(type(error)):
        world.control.rotate("a", MAIN, None, 60)
    assert (world.credentials(MAIN).secret() == known) is taken_back


@pytest.mark.parametrize(("error", "kept"), [(Unavailable("Full."), "old"), (OutcomeUnknown("Late."), "new")])
def test_headers_are_the_old_ones_only_where_the_new_ones_were_refused(
    world: World, error: Exception, kept: str
) -> None:
    change = ConfigureEndpoint(endpoint=MAIN)
    world.control.configure("a", change, {"X-Token": "old"})
    world.fail(error)
    with pytest.raises(type(error)):
        world.control.configure("a", change, {"X-Token": "new"})
    assert world.credentials(MAIN).keys().headers == {"X-Token": kept}


def test_an_endpoint_that_may_still_be_made_keeps_its_secret_also_when_the_next_try_is_refused(world: World) -> None:
    world.fail(OutcomeUnknown("No answer in time."))
    with pytest.raises(OutcomeUnknown):
        world.control.configure("a", CRM, {"X-Token": "t"})
    secret = world.credentials("crm").secret()
    assert secret is not None
    world.fail(Unavailable("Full."))
    with pytest.raises(Unavailable):
        world.control.configure("a", CRM)
    assert world.credentials("crm").secret() == secret
    assert world.credentials("crm").keys().headers == {"X-Token": "t"}


def test_an_endpoint_that_is_refused_leaves_nothing_secret_behind(world: World) -> None:
    world.fail(Unavailable("The disk is full."))
    with pytest.raises(Unavailable):
        world.control.configure("a", CRM, {"X-Token": "t"})
    with pytest.raises(EndpointNotFound):
        world.control.configure("a", msgspec.structs.replace(CRM, url=msgspec.UNSET), {"X-Token": "t"})
    keys = world.credentials("crm").keys()
    assert (keys.new, keys.headers) == (None, {})


def test_of_two_that_make_the_same_endpoint_at_once_one_is_given_its_secret(world: World) -> None:
    one, other = at_once(
        world,
        lambda: world.control.configure("a", CRM),
        lambda: world.control.configure("a", msgspec.structs.replace(CRM, order="chat")),
    )
    assert one.result() == world.credentials("crm").secret()
    assert other.result() is None


def test_a_rotation_that_is_refused_takes_back_no_other_that_comes_meanwhile(world: World) -> None:
    refused, done = at_once(
        world,
        lambda: world.control.rotate("a", MAIN, None, 60),
        lambda: world.control.rotate("a", MAIN, None, 60),
        error=Unavailable("Full."),
    )
    assert isinstance(refused.exception(), Unavailable)
    assert world.credentials(MAIN).secret() == done.result()[0]


def test_what_is_made_while_it_is_removed_is_there_with_its_secret(world: World) -> None:
    world.control.configure("a", CRM)
    removed, made = at_once(
        world, lambda: world.control.remove("a", "crm"), lambda: world.control.configure("a", CRM, {"X-Token": "t"})
    )
    assert removed.result() is None
    assert made.result() == world.credentials("crm").secret() is not None
    assert world.credentials("crm").keys().headers == {"X-Token": "t"}
