"""What becomes of an instance whose creation the log has not confirmed in time."""

import math
import threading
from collections.abc import Iterator
from concurrent.futures import wait
from datetime import UTC, datetime
from pathlib import Path

import pytest

from chatbot_erp.actors import creations, frames, journal, lives, tidings
from chatbot_erp.actors.commands import CreateInstance
from chatbot_erp.actors.erasing import Eraser
from chatbot_erp.actors.errors import NameTaken, OutcomeUnknown
from chatbot_erp.actors.manager import Manager
from chatbot_erp.actors.webhook_credentials import Credentials
from chatbot_erp.eventstore.events import InstanceCreated, Status
from chatbot_erp.eventstore.records import MAIN
from chatbot_erp.eventstore.store import EventStore
from supervisor_world import PATIENCE_S, World
from waiting import wait_until

URL = "http://127.0.0.1:9/"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    yield world
    world.close()


@pytest.fixture
def manager(world: World) -> Manager:
    return Manager(world.house, Eraser(world.store, world.config))


def create_in_vain(manager: Manager) -> None:
    """The log does not answer before patience ends, which is soon."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(journal, "APPEND_PATIENCE_S", 0.1)
        with pytest.raises(OutcomeUnknown):
            manager.create("shop", URL)


def stand_still(store: EventStore, end: threading.Event) -> None:
    """The disk does not answer until `end`."""
    stands = threading.Event()

    def stand(_: object) -> None:
        # A callback that comes too late for the writer's thread runs at once, on ours.
        if threading.current_thread() is not threading.main_thread():
            stands.set()
            assert end.wait(PATIENCE_S)

    while not stands.is_set():
        errand = store.prune_attempts(datetime(2000, 1, 1, tzinfo=UTC))
        errand.add_done_callback(stand)
        wait([errand])


def test_what_is_created_when_the_disk_answers_at_last_is_there_with_its_name_and_its_secret(
    world: World, manager: Manager
) -> None:
    may_go_on = threading.Event()
    stand_still(world.store, may_go_on)
    create_in_vain(manager)
    with pytest.raises(NameTaken):
        manager.create("shop", URL)
    may_go_on.set()
    host = world.born.get(timeout=PATIENCE_S)
    instance = host.next(frames.OpenSocket).instance
    view = world.wait("shop", lambda view: view.status is Status.INITIALIZING)
    assert view.id == instance
    assert Credentials(world.vault, instance, MAIN).secret() is not None
    assert world.store.streams_named("shop") == [instance]


def test_nothing_remains_of_a_creation_that_the_log_turns_out_not_to_have(world: World, manager: Manager) -> None:
    world.mute.lose = InstanceCreated
    create_in_vain(manager)
    wait_until(lambda: not world.house.directory.has("shop"))
    assert world.vault.all("webhook") == {}
    assert manager.create("shop", URL).view.name == "shop"


def test_a_creation_stays_in_doubt_as_long_as_the_log_cannot_say(
    world: World, manager: Manager, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(creations, "AGAIN_S", 0.01)
    world.mute.refusals = 3
    world.mute.lose = InstanceCreated
    create_in_vain(manager)
    wait_until(lambda: not world.house.directory.has("shop"))
    assert world.mute.refusals == 0


def test_one_that_comes_to_be_when_its_caller_has_given_up_has_an_actor_at_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(creations, "AGAIN_S", 0.01)
    monkeypatch.setattr(lives, "STUCK_S", math.inf)
    doubted = world.supervisor.ask(tidings.StartInstance(instance="shop", name="shop"))
    may_go_on = threading.Event()
    stand_still(world.store, may_go_on)
    created = doubted.ask(CreateInstance(name="shop", webhook_url=URL, session_from=None), block=False)
    world.supervisor.tell(tidings.CreationDoubted(instance="shop"))
    world.supervisor.ask(tidings.Introduce())
    assert not doubted.actor_stopped.is_set(), "it takes what it was asked before"
    may_go_on.set()
    created.get(timeout=PATIENCE_S)
    wait_until(lambda: world.house.directory.actor("shop") not in (None, doubted))
    host = world.born.get(timeout=PATIENCE_S)
    world.say(host, "shop", 1, frames.SocketOfferedQr(qr="code", valid_s=60.0))
    world.wait("shop", lambda view: view.status is Status.SCAN_QR_CODE)


def test_who_was_put_in_the_place_of_one_that_was_in_doubt_is_left_alone(world: World) -> None:
    world.create("shop")
    actor = world.house.directory.actor("shop")
    world.supervisor.tell(tidings.CreationDoubted(instance="shop", stopped="urn:of-the-former"))
    world.supervisor.ask(tidings.Introduce())
    assert actor is not None
    assert actor.is_alive()
    assert world.house.directory.actor("shop") == actor


def test_one_whose_creation_was_only_told_too_late_is_left_alone(world: World) -> None:
    world.create("shop")
    actor = world.house.directory.actor("shop")
    world.supervisor.tell(tidings.CreationDoubted(instance="shop"))
    world.supervisor.tell(tidings.CreationSettled(instance="shop"))
    world.supervisor.ask(tidings.Introduce())
    assert world.house.directory.actor("shop") == actor
    assert actor is not None
    assert actor.is_alive()
