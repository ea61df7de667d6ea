"""What becomes of instances between two lives of the manager."""

import dataclasses
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from queue import Queue
from threading import Event, current_thread, main_thread
from typing import Any, cast

import pykka
import pytest
from msgspec import structs

from chatbot_erp.actors import lives as lives_
from chatbot_erp.actors import tidings
from chatbot_erp.actors.alarms import Alarms
from chatbot_erp.actors.assembly import Surroundings, open_house
from chatbot_erp.actors.commands import CreateInstance, RemoveInstance
from chatbot_erp.actors.config import Config
from chatbot_erp.actors.directory import Directory, Qr
from chatbot_erp.actors.endpoint import ConfigureEndpoint, RemoveEndpoint
from chatbot_erp.actors.errors import InstanceNotFound, NameTaken, Unavailable
from chatbot_erp.actors.frames import Said
from chatbot_erp.actors.house import House
from chatbot_erp.actors.leftovers import take_spools
from chatbot_erp.actors.lives import Lives
from chatbot_erp.actors.spool import write_spool
from chatbot_erp.actors.state import Instance, Removed
from chatbot_erp.actors.webhook_credentials import Credentials
from chatbot_erp.eventstore.events import Status
from chatbot_erp.eventstore.records import MAIN
from chatbot_erp.eventstore.store import EventStore
from chatbot_erp.eventstore.vault import Vault
from fake_sockets import received
from waiting import wait_until


class Listener(pykka.ThreadingActor):
    """Stands where the supervisor would, and only listens."""

    use_daemon_thread = True

    def __init__(self) -> None:
        super().__init__()
        self.heard: Queue[object] = Queue()

    def on_receive(self, message: object) -> Any:
        if isinstance(message, tidings.Introduce):
            return self.heard
        self.heard.put(message)
        return None


class Nobody(pykka.ThreadingActor):
    """Stands where the supervisor would, and does nothing of what it would do."""

    use_daemon_thread = True

    def on_receive(self, message: object) -> None:
        """Nothing follows."""


@pytest.fixture
def house(tmp_path: Path, alarms: Alarms) -> Iterator[House]:
    with EventStore.open(tmp_path) as store, closing(Vault.open(tmp_path)) as vault:
        yield House(
            config=Config(data_dir=tmp_path),
            store=store,
            vault=vault,
            directory=Directory(),
            alarms=alarms,
            supervisor=Nobody.start(),
        )


def anew(house: House) -> House:
    """The same in another life, which knows of nobody yet."""
    return dataclasses.replace(house, directory=Directory())


@contextmanager
def living(house: House) -> Iterator[Lives]:
    lives = Lives(house)
    try:
        yield lives
    finally:
        lives.stop_webhooks()
        lives.stop_all(time.monotonic() + 60)


def create(house: House, lives: Lives, instance: str) -> pykka.ActorRef[Any]:
    """An instance with two endpoints, to which nothing is posted."""
    actor = lives.start(instance, instance, None, 0)
    actor.ask(CreateInstance(name=instance, webhook_url="http://127.0.0.1:9/", session_from=None))
    for endpoint in (MAIN, "crm"):
        credentials = Credentials(house.vault, instance, endpoint)
        credentials.make()
        credentials.rotate("whsec_" + "A" * 32, datetime.now(UTC))
        credentials.keep_headers({"X-Token": "token"})
        actor.ask(ConfigureEndpoint(endpoint=endpoint, url="http://127.0.0.1:9/", paused=True))
    return actor


def test_what_is_secret_about_what_was_removed_is_forgotten_by_the_next_life_at_the_latest(house: House) -> None:
    """The last one ended after the removal, and before it had forgotten."""
    store, vault = house.store, house.vault
    with living(house) as former:
        stays, gone = create(house, former, "stays"), create(house, former, "gone")
        stays.ask(RemoveEndpoint(endpoint="crm"))
        gone.ask(RemoveInstance(unlink=True))
        Credentials(vault, "in-the-making", MAIN).make()
        wait_until(lambda: {head.stream for head in store.open_streams()} == {"stays"})
    with living(anew(house)) as lives:
        lives.restore()
        kept = {kind: set(vault.all(kind)) for kind in ("webhook", "webhook_former", "webhook_headers")}
    assert kept == {
        "webhook": {"stays", "in-the-making"},
        "webhook_former": {"stays"},
        "webhook_headers": {"stays"},
    }


class Meanwhile:
    """A vault. Just before it is first asked what there is, something happens."""

    def __init__(self, vault: Vault, happens: Callable[[], object]) -> None:
        self._vault = vault
        self._happens = [happens]

    def all(self, kind: str, /) -> dict[str, bytes]:
        while self._happens:
            self._happens.pop()()
        return self._vault.all(kind)

    def delete(self, kind: str, owner: str, /) -> bool:
        return self._vault.delete(kind, owner)


def test_what_is_secret_about_what_another_node_makes_while_this_one_begins_is_kept(house: House) -> None:
    with living(house) as elsewhere:
        vault = Meanwhile(house.vault, lambda: create(house, elsewhere, "new"))
        with living(dataclasses.replace(anew(house), vault=cast(Vault, vault))) as lives:
            assert lives.restore() == 0
    assert set(house.vault.all("webhook")) == {"new", "new/crm"}


def make_unreadable(directory: Path, instance: str) -> None:
    """Neither its snapshot nor what it was made of can be read, except for its first event."""
    with closing(sqlite3.connect(directory / "events.db")) as log:
        log.execute("DROP TRIGGER events_are_not_updated")
        log.execute("UPDATE events SET data = '[]' WHERE stream = ? AND version = 2", (instance,))
        log.execute("UPDATE streams SET snapshot = x'00' WHERE stream = ?", (instance,))
        log.commit()


def test_an_instance_that_cannot_be_read_is_missing_keeps_what_it_has_and_holds_up_nobody(
    tmp_path: Path, house: House
) -> None:
    with living(house) as former:
        for instance in ("lost", "other"):
            create(house, former, instance)
    secrets = set(house.vault.all("webhook"))
    make_unreadable(tmp_path, "lost")
    house = anew(house)
    with living(house) as lives:
        assert lives.restore() == 1
        assert [view.name for view in house.directory.views()] == ["other"]
        with pytest.raises(Unavailable, match="lost"):
            house.directory.find("lost")
        with pytest.raises(NameTaken):
            lives.start("new", "lost", None, 0)
        with pytest.raises(InstanceNotFound):
            house.directory.find("new")
        assert set(house.vault.all("webhook")) == secrets
        assert house.directory.missing() == {"lost"}


def test_what_was_received_for_an_instance_that_is_missing_waits_for_a_life_that_has_it(
    tmp_path: Path, house: House
) -> None:
    with living(house) as former:
        create(house, former, "lost")
    house.vault.close()
    house.store.close()
    make_unreadable(tmp_path, "lost")
    kept, read = (
        write_spool(tmp_path, name, [Said(instance=name, generation=1, number=1, observation=received("m"))])
        for name in ("lost", "gone")
    )
    with open_house(Config(data_dir=tmp_path), Surroundings(environment={}, prelude=None)) as manager:
        assert manager.directory.missing() == {"lost"}
    assert (kept.exists(), read.exists()) == (True, False)


class Reluctant(Directory):
    """Lets no actor publish anything until it may."""

    def __init__(self) -> None:
        super().__init__()
        self.may = Event()

    def publish(self, instance: str, state: Instance | Removed, qr: Qr | None) -> None:
        if current_thread() is not main_thread():
            assert self.may.wait(60)
        super().publish(instance, state, qr)


def test_an_instance_that_is_slow_to_answer_is_seen_with_what_it_was_in_the_last_life(house: House) -> None:
    """Else nobody would have a socket made for it, and it would come up as connected."""
    with living(house) as former:
        create(house, former, "slow")
    reluctant = Reluctant()
    with living(dataclasses.replace(house, directory=reluctant)) as lives:
        (head,) = house.store.open_streams()
        with pytest.raises(pykka.Timeout):
            lives.start("slow", "slow", lives.rebuild_or_miss(head), head.version, patience_s=0)
        seen = reluctant.seen("slow")
        assert seen is not None
        assert seen.status is Status.INITIALIZING
        reluctant.may.set()


def test_of_two_that_have_one_name_one_is_missing_and_the_start_goes_on(house: House) -> None:
    for instance in ("one", "two"):
        with living(anew(house)) as lives:
            command = CreateInstance(name="n", webhook_url="http://127.0.0.1:9/", session_from=None)
            lives.start(instance, "n", None, 0).ask(command)
    with living(house) as lives:
        assert lives.restore() == 1
        assert house.directory.missing() == {"two"}
        assert house.directory.view("n").id == "one"


def test_an_instance_whose_actor_fails_at_the_start_keeps_its_words_and_holds_up_nobodys(
    tmp_path: Path, house: House
) -> None:
    def told() -> list[str]:
        return [each.stream for each in house.store.read(types={"message.received"})]

    with living(house) as lives:
        create(house, lives, "failing").stop()
        create(house, lives, "sound")
        kept, taken = (
            write_spool(tmp_path, name, [Said(instance=name, generation=1, number=1, observation=received("m"))])
            for name in ("failing", "sound")
        )
        take_spools(house)
        assert (kept.exists(), taken.exists()) == (True, False)
        assert told() == ["sound"]
        lives.replace("failing")
        take_spools(house)
        assert not kept.exists()
        assert told() == ["sound", "failing"]


def test_one_that_is_still_being_made_is_not_taken_for_one_that_hangs(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The log has as long as it needs to say whether it is there."""
    monkeypatch.setattr(lives_, "STUCK_S", -1.0)
    with living(house) as lives:
        actor = lives.start("a", "a", None, 0)
        assert lives.ping() == []
        actor.ask(CreateInstance(name="a", webhook_url="http://127.0.0.1:9/", session_from=None))
        assert lives.ping() == ["a"]


def test_one_that_died_while_it_was_made_is_not_left_alone(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lives_, "STUCK_S", -1.0)
    with living(house) as lives:
        lives.start("a", "a", None, 0).stop()
        assert lives.ping() == ["a"]


def test_who_answers_the_heartbeat_is_left_alone_and_who_does_not_is_named_once(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lives_, "STUCK_S", 0.0)
    listener = Listener.start()
    heard: Any = listener.ask(tidings.Introduce())
    config = structs.replace(house.config, webhook_timeout_s=0.0)
    house = dataclasses.replace(house, supervisor=listener, config=config)

    def hear(kind: type[Any]) -> Any:
        while not isinstance(told := heard.get(timeout=60), kind):
            pass
        return told

    with living(house) as lives:
        create(house, lives, "a")
        assert lives.ping() == []
        for _ in range(3):
            urns = {hear(tidings.Pong).urn for _ in range(3)}
            assert len(urns) == 3, "the instance's actor, and one for each endpoint"
            for urn in urns:
                lives.answered(urn)
            assert lives.ping() == []
        assert lives.ping() == ["a"]
        due = [hear(tidings.WebhookDue) for _ in range(2)]
        assert {(told.endpoint, told.cause) for told in due} == {(MAIN, "webhook_stuck"), ("crm", "webhook_stuck")}
        assert all(lives.replace_webhook("a", told.endpoint) for told in due)
        assert not any(lives.replace_webhook("a", told.endpoint) for told in due)
    listener.stop()
