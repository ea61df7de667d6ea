"""Somebody is forgotten: by the destruction of keys, whatever interrupts it, and without a change of what is in the log."""

import sqlite3
import threading
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from chatbot_erp.eventstore import subjects
from chatbot_erp.eventstore.addresses import canonical
from chatbot_erp.eventstore.events import (
    ContentExpired,
    Event,
    InstanceCreated,
    MessageAccepted,
    MessageReceived,
    SubjectErased,
    WebhookAbandoned,
)
from chatbot_erp.eventstore.keys_file import Connection, open_keys
from chatbot_erp.eventstore.log_reader import LogReader
from chatbot_erp.eventstore.records import ERASED, Attempt, Recorded
from chatbot_erp.eventstore.store import EventStore, NewEvent
from chatbot_erp.eventstore.subject_keys import SubjectKeys, Wanted
from chatbot_erp.eventstore.subjects import STREAM, Subjects, events, page
from chatbot_erp.eventstore.verify import verify
from chatbot_erp.eventstore.walk import Report

Facts = Callable[[Event], NewEvent]

EVERYWHERE = pytest.mark.parametrize("engine", ["sqlite", "postgresql"], indirect=True)

PATIENCE_S = 120.0
NUMBER, LID, OTHER = "5511987654321", "200000000000001@lid", "5511999999999"
HERS = {canonical(NUMBER), LID}


def received(jid: str, jid_alt: str | None = None, text: str = "a secret wish") -> MessageReceived:
    return MessageReceived(
        message_id="3EB0",
        jid=jid,
        jid_alt=jid_alt,
        participant=None,
        push_name="Fulana de Tal",
        kind="text",
        text=text,
        sent_at=datetime.fromisoformat("2026-11-24T12:00Z"),
        raw=msgspec.Raw(b'{"conversation":"a secret wish"}'),
    )


@pytest.fixture
def story(store: EventStore, new: Facts, created: Callable[[str], InstanceCreated]) -> list[Recorded]:
    """Two people; what one of them said came under her number, her LID and both."""
    facts = [
        created("a"),
        received(f"{NUMBER}@s.whatsapp.net"),
        received(LID),
        received(f"{OTHER}@s.whatsapp.net", text="another wish"),
        received(LID, f"{NUMBER}@s.whatsapp.net"),
        MessageAccepted(command_id="c", number=NUMBER, kind="text", text="a secret answer"),
    ]
    return [
        record
        for version, fact in enumerate(facts)
        for record in store.append("a", version, [new(fact)], snapshot=b"state").result().records
    ]


def forget(store: EventStore, number: str, at: datetime) -> int | None:
    people = Subjects(store)
    erasure = people.begin([canonical(number)], at)
    return people.finish(people.destroy(erasure, people.person([canonical(number)]).addresses, at))


def bytes_of(directory: Path) -> bytes:
    return b"".join(path.read_bytes() for path in directory.rglob("*") if path.is_file())


def test_what_is_held_of_somebody_is_found_under_any_of_their_names(
    store: EventStore, directory: Path, story: list[Recorded]
) -> None:
    hers = [story[1], story[2], story[4], story[5]]
    for name in (NUMBER, f"{NUMBER}@s.whatsapp.net", LID):
        person = Subjects(store).person([canonical(name)])
        assert set(person.addresses) == HERS
        assert list(events(store, person)) == hers
    with LogReader.open(directory) as log:
        assert list(events(log, log.person([LID]))) == hers
    assert list(events(store, Subjects(store).person(["49170"]))) == []


@EVERYWHERE
def test_names_that_are_joined_later_are_one_persons_and_of_strangers_nothing_is_kept(
    store: EventStore, new: Facts, noon: datetime
) -> None:
    facts = [received(f"{NUMBER}@s.whatsapp.net"), received(LID), received(f"{OTHER}@s.whatsapp.net")]
    store.append("a", 0, [new(fact) for fact in facts], snapshot=b"").result()
    strangers = {(f"3000000{n:08}@lid", f"4917{n:08}") for n in range(600)}
    for _ in range(2):
        store.keys.join({(LID, canonical(NUMBER)), ("500000000000005@lid", canonical(OTHER)), *strangers})
    store.keys.join(())
    people = Subjects(store)
    hers = people.person([canonical(NUMBER)])
    assert (set(hers.addresses), len(hers.subjects)) == (HERS, 2)
    assert len(people.person(["500000000000005@lid"]).subjects) == 1
    assert people.person(["491700000007"]).addresses == ("491700000007",)
    forget(store, LID, noon)
    assert [each.erased for each in store.read(stream="a")] == [True, True, False]


@EVERYWHERE
def test_what_is_held_is_read_in_pages_of_a_bounded_stretch_of_the_log(
    store: EventStore, new: Facts, story: list[Recorded], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subjects, "STRETCH", 2)
    monkeypatch.setattr(subjects, "STRETCHES", 2)
    person = Subjects(store).person([LID])
    found, after = page(store, person, after=0, limit=1)
    assert [each.position for each in found] == [2]
    assert after == 2
    found, after = page(store, person, after=after, limit=100)
    assert ([each.position for each in found], after) == ([3, 5, 6], 6)
    assert page(store, person, after=6, limit=100) == ([], None)
    assert [each.position for each in events(store, person)] == [2, 3, 5, 6]


def test_after_an_erasure_no_file_has_the_text_and_the_chain_still_verifies(
    store: EventStore, directory: Path, story: list[Recorded], noon: datetime
) -> None:
    before = bytes_of(directory)
    assert canonical(NUMBER).encode() in before
    position = forget(store, NUMBER, noon)
    everything = bytes_of(directory)
    for trace in (
        b"secret wish",
        b"secret answer",
        b"Fulana",
        canonical(NUMBER).encode(),
        NUMBER.encode(),
        b"200000000000001",
    ):
        assert trace not in everything
    read = store.read()
    assert [each.position for each in read if each.erased] == [2, 3, 5, 6]
    assert b'"erased":true' in bytes(read[1].data)
    assert read[3] == story[3], "what others said stays"
    assert (read[-1].stream, read[-1].position) == (STREAM, position)
    assert isinstance(read[-1].event, SubjectErased)
    assert len(read[-1].event.subjects) == 2, "she was known by two names before these met"
    assert verify(directory).problem is None
    assert list(events(store, Subjects(store).person([LID]))) == []


@EVERYWHERE
def test_a_second_erasure_finds_nothing_and_who_writes_again_is_somebody_new(
    store: EventStore, story: list[Recorded], new: Facts, noon: datetime
) -> None:
    assert forget(store, NUMBER, noon) is not None
    head = store.head()
    assert forget(store, NUMBER, noon) is None
    assert store.head() == head
    again = store.append("a", 6, [new(received(LID, text="here I am again"))], snapshot=b"state").result().records
    person = Subjects(store).person([LID])
    assert list(events(store, person)) == list(again)
    assert person.addresses == (LID,), "her number is not known any more"


@EVERYWHERE
@pytest.mark.parametrize("reached", ["begun", "destroyed", "appended"])
def test_an_erasure_that_was_cut_off_goes_on_in_the_next_life(
    store: EventStore,
    open_store: Callable[[], EventStore],
    check: Callable[[], Report],
    story: list[Recorded],
    noon: datetime,
    reached: str,
) -> None:
    people = Subjects(store)
    erasure = people.begin([canonical(NUMBER)], noon)
    if reached != "begun":
        erasure = people.destroy(erasure, HERS, noon)
    if reached == "appended":
        event = SubjectErased(subjects=tuple(getattr(erasure.stage, "subjects", ())))
        new = NewEvent(id=erasure.id, event=event, recorded_at=noon)
        store.append(STREAM, 0, [new], snapshot=b"").result()
    store.close()
    with open_store() as later:
        people = Subjects(later)
        (left,) = people.unfinished()
        assert left == erasure
        if reached == "begun":
            left = people.destroy(left, HERS, noon)
        position = people.finish(left)
        assert people.unfinished() == []
        (record,) = later.read(stream=STREAM)
        assert (record.id, record.position) == (erasure.id, position)
        assert [each.position for each in later.read() if each.erased] == [2, 3, 5, 6]
    assert check().problem is None


@EVERYWHERE
def test_what_a_receiver_answered_is_sealed_and_erased_with_whom_the_event_was_about(
    store: EventStore, directory: Path, story: list[Recorded], noon: datetime
) -> None:
    attempt = Attempt(at=noon, duration_ms=1, http_status=200, error="", address="", answer="thanks, Fulana")
    store.record_attempt("a", "main", 1, attempt, None, about=story[1]).result()
    store.record_attempt("a", "main", 3, attempt, None, about=story[3]).result()
    assert b"thanks" not in bytes_of(directory)
    assert [each.answer for each in store.attempts("a", limit=9)] == ["thanks, Fulana"] * 2
    forget(store, NUMBER, noon)
    assert [each.answer for each in store.attempts("a", limit=9)] == ["thanks, Fulana", ""]
    store.record_attempt("a", "main", 1, attempt, None, about=story[1]).result()
    assert store.attempts("a", limit=1)[0].answer == "", "one that was under way makes no new key for her"
    assert Subjects(store).person([LID]).subjects == ()


@EVERYWHERE
def test_days_that_are_over_are_dropped_of_everybody_and_put_on_record_once(
    store: EventStore, check: Callable[[], Report], new: Facts, noon: datetime
) -> None:
    old = received(f"{NUMBER}@s.whatsapp.net", text="long ago")
    facts = [
        msgspec.structs.replace(new(old), recorded_at=noon - timedelta(days=40)),
        msgspec.structs.replace(new(old), recorded_at=noon - timedelta(days=30)),
        new(received(f"{NUMBER}@s.whatsapp.net", text="today")),
    ]
    store.append("a", 0, facts, snapshot=b"").result()
    people = Subjects(store)
    for _ in range(2):
        if expired := people.expire("2026-10-25", noon):
            people.finish(expired)
    read = store.read()
    assert [each.erased for each in read] == [True, False, False, False]
    assert read[-1].event == ContentExpired(before="2026-10-25")
    assert len(read) == 4
    assert check().problem is None


@EVERYWHERE
def test_a_delivery_that_is_not_made_because_it_was_erased_is_no_dead_letter(
    store: EventStore, story: list[Recorded], new: Facts
) -> None:
    verdict = WebhookAbandoned(sequence=1, attempts=1, error=ERASED)
    other = WebhookAbandoned(sequence=2, attempts=1, error="http_500")
    store.append("a", 6, [new(verdict), new(other)], snapshot=b"state").result()
    assert [each.sequence for each in store.dead_letters("a", limit=9)] == [2]
    assert store.standing("a").oldest == 3


def test_an_erasure_needs_no_address_once_the_keys_are_gone(
    store: EventStore, directory: Path, story: list[Recorded], noon: datetime
) -> None:
    people = Subjects(store)
    people.destroy(people.begin([canonical(NUMBER)], noon), HERS, noon)
    with closing(sqlite3.connect(directory / "keys.db")) as keys:
        ((kept,),) = keys.execute("SELECT erased FROM erasures").fetchall()
    assert "addresses" not in kept
    assert canonical(NUMBER).encode() not in (directory / "keys.db").read_bytes()


class Preceded(sqlite3.Connection):
    """A connection whose next change somebody else precedes with his own."""

    intrude: Callable[[], object] | None = None

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        if sql.startswith("BEGIN") and self.intrude is not None:
            intrude, self.intrude = self.intrude, None
            intrude()
        return super().execute(sql, parameters)


def test_who_is_forgotten_while_a_receiver_answers_gets_no_new_key(
    store: EventStore, directory: Path, story: list[Recorded], noon: datetime
) -> None:
    connection = sqlite3.connect(directory / "keys.db", factory=Preceded, isolation_level=None, check_same_thread=False)
    with closing(SubjectKeys(connection)) as keys:
        connection.intrude = lambda: forget(store, NUMBER, noon)
        assert keys.lock_of_known(Wanted(owners=(canonical(NUMBER),), period="2026-11-24")) is None
        assert connection.intrude is None
    assert Subjects(store).person(HERS).subjects == ()
    assert canonical(NUMBER).encode() not in (directory / "keys.db").read_bytes()


@EVERYWHERE
def test_a_change_of_the_keys_that_cannot_be_worked_out_leaves_nothing_behind(store: EventStore) -> None:
    def change(connection: Connection) -> None:
        connection.execute("INSERT INTO addresses VALUES ('x', 'y')")
        raise ValueError("not understood")

    for _ in range(2):
        with pytest.raises(ValueError, match="not understood"):
            store.keys.write(change)
    store.keys.join([("x", "z")])
    assert store.keys.person(["x"]).addresses == ("x",)


class Slow:
    """A connection that waits in mid-transaction, as for a row that another node holds."""

    def __init__(self, directory: Path) -> None:
        self._connection = open_keys(directory)
        self.is_waiting, self.may_go_on = threading.Event(), threading.Event()

    @property
    def in_transaction(self) -> bool:
        return self._connection.in_transaction

    def execute(self, statement: str, values: Sequence[Any] = (), /) -> Any:
        if statement == "COMMIT":
            self.is_waiting.set()
            assert self.may_go_on.wait(PATIENCE_S)
        return self._connection.execute(statement, values)

    def executemany(self, statement: str, rows: Sequence[Sequence[Any]], /) -> Any:
        return self._connection.executemany(statement, rows)

    def rollback(self) -> None:
        self._connection.rollback()

    def close(self) -> None:
        self._connection.close()


def test_who_notices_that_others_lost_keys_waits_for_nobody_who_waits_for_the_database(directory: Path) -> None:
    wanted = Wanted((canonical(NUMBER),), "2026-11-24")
    directory.mkdir(exist_ok=True)
    with closing(SubjectKeys.open(directory)) as keys, closing(SubjectKeys(slow := Slow(directory))) as others:
        (lock,) = keys.locks([wanted])
        assert others.cipher(lock.subject, wanted.period) is not None
        writer = threading.Thread(target=others.join, args=([("x", "y")],), daemon=True)
        writer.start()
        assert slow.is_waiting.wait(PATIENCE_S)
        before = others.losses
        noticed = threading.Thread(target=others.notice, args=(1,), daemon=True)
        noticed.start()
        noticed.join(PATIENCE_S)
        assert not noticed.is_alive()
        assert others.losses == before + 1
        slow.may_go_on.set()
        writer.join(PATIENCE_S)
        with closing(sqlite3.connect(directory / "keys.db")) as direct:
            direct.execute("DELETE FROM subjects")
            direct.commit()
        others.notice(2)
        assert others.cipher(lock.subject, wanted.period) is None
