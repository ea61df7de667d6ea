"""How the house is put together, and what of former lives it takes in."""

import errno
import io
import itertools
from contextlib import ExitStack, closing, redirect_stdout
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any
from uuid import uuid4

import pykka
import pytest
from structlog.testing import capture_logs

from chatbot_erp.actors import assembly, tidings
from chatbot_erp.actors.assembly import Surroundings, open_house, print_qr, take_step
from chatbot_erp.actors.config import Config
from chatbot_erp.actors.ending import Ending
from chatbot_erp.actors.frames import Said
from chatbot_erp.actors.serve import await_turn
from chatbot_erp.actors.spool import packed, write_spool
from chatbot_erp.eventstore.events import InstanceCreated, InstanceInvalidated, MessageReceived, Status
from chatbot_erp.eventstore.lease import ALONE, Node
from chatbot_erp.eventstore.places import open_store, open_vault
from chatbot_erp.eventstore.records import NewEvent
from fake_sockets import PATIENCE_S, received


class ClosedTerminal(io.StringIO):
    """What is left of a terminal whose window was closed."""

    def write(self, text: str, /) -> int:
        raise OSError(errno.EIO, "Input/output error")


def test_a_terminal_that_was_closed_keeps_nobody_from_pairing() -> None:
    shown = io.StringIO()
    with redirect_stdout(shown):
        print_qr("shop", "a code")
    assert "shop" in shown.getvalue()
    with redirect_stdout(ClosedTerminal()):
        print_qr("shop", "a code")


def test_what_cannot_be_read_of_a_spool_is_kept_for_a_person_to_look_at(tmp_path: Path) -> None:
    sound, torn = (
        write_spool(tmp_path, name, [Said(instance="a", generation=1, number=1, observation=received("m"))])
        for name in ("sound", "torn")
    )
    torn.write_bytes(torn.read_bytes()[:-1])
    with open_house(Config(data_dir=tmp_path), Surroundings(environment={}, prelude=None)) as manager:
        assert manager.tallies()[("parked", "Spool")] == 1
    assert not sound.exists()
    assert [path.name for path in (tmp_path / "parked").iterdir()] == [torn.name]


def test_one_that_shares_with_nobody_stores_what_sockets_of_nodes_left_in_the_database(
    tmp_path: Path, database: str
) -> None:
    events = (
        InstanceCreated(name="um", webhook_url="http://127.0.0.1:9/", session_from=None),
        InstanceInvalidated(previous=Status.INITIALIZING, reason="banned"),
    )
    new = [NewEvent(id=str(uuid4()), event=each, recorded_at=datetime.now(UTC)) for each in events]
    said = Said(instance="a", generation=0, number=1, observation=received("Enquanto isso"))
    with open_store(tmp_path / "a", database, Node(name="a", movable=True)) as store:
        assert store.company.reserve("a", "um")
        store.append("a", 0, new, snapshot=b"to be folded").result()
        with closing(open_vault(database)) as vault:
            vault.put("spool", "a/host", packed([said]))
    config = Config(data_dir=tmp_path / "c", database=database, node="c")
    with open_house(config, Surroundings(environment={}, prelude=None)) as manager:
        told = [each.event for each in manager.store.read(types={"message.received"})]
        assert [event.text for event in told if isinstance(event, MessageReceived)] == ["Enquanto isso"]
    with closing(open_vault(database)) as vault:
        assert vault.all("spool") == {}


class Signal(Ending):
    """An end that comes at this step of the start."""

    def __init__(self, step: int) -> None:
        super().__init__()
        self.kept = False
        self._before = step

    def check(self) -> None:
        self._before -= 1
        if self._before < 0:
            self.set()
        super().check()

    def keep(self) -> None:
        self.kept = True


def test_a_signal_that_comes_during_the_start_ends_it_with_the_step_that_is_under_way(tmp_path: Path) -> None:
    config, surroundings = Config(data_dir=tmp_path), Surroundings(environment={}, prelude=None)
    for step in itertools.count():
        ending = Signal(step)
        house = partial(open_house, config, surroundings, ending=ending)
        with ExitStack() as stack:
            manager = await_turn(stack, house, ALONE, ending)
        assert (manager is None) == ending.kept
        if manager is not None:
            break
    assert step > 3


def test_a_start_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assembly, "PATIENCE_S", 0.01)
    goes_on, ending = Event(), Signal(0)

    class Hangs(pykka.ThreadingActor):
        use_daemon_thread = True

        def on_receive(self, message: object) -> object:
            return goes_on.wait(PATIENCE_S)

    hangs: pykka.ActorRef[Any] = Hangs.start()
    with capture_logs() as logged, pytest.raises(TimeoutError, match=r"The start hangs \(in Restore\)"):
        take_step(hangs, tidings.Restore(), ending)
    assert ending.kept, "whatever else hangs"
    assert [each["action"] for each in logged] == ["start_hangs"], "the end may hang before the error is told"
    goes_on.set()
    hangs.stop()


def test_a_node_that_ends_leaves_what_was_set_aside_last_in_the_database_and_not_on_its_machine(
    tmp_path: Path, database: str
) -> None:
    created = InstanceCreated(name="um", webhook_url="http://127.0.0.1:9/", session_from=None)
    new = NewEvent(id=str(uuid4()), event=created, recorded_at=datetime.now(UTC))
    said = Said(instance="a", generation=0, number=1, observation=received("Por último"))
    b = Node(name="b", movable=True)
    config = Config(data_dir=tmp_path / "b", database=database, node="b", share=True, sessions="database")
    with open_store(tmp_path / "a", database, Node(name="a", movable=True)) as store:
        assert store.company.reserve("a", "um")
        store.append("a", 0, [new], snapshot=b"to be folded").result()
        with open_house(config, Surroundings(environment={}, prelude=None), b):
            write_spool(config.data_dir, "last", [said])
        with closing(open_vault(database)) as vault:
            assert [owner.split("/")[::2] for owner in vault.all("spool")] == [["a", "last"]]
    assert not list((config.data_dir / "spool").iterdir())
