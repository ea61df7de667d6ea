"""Personal data stands in the log only sealed, and is read as if it were not."""

import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from chatbot_erp.eventstore.addresses import canonical
from chatbot_erp.eventstore.errors import KeysMissing, KeysOutdated, LogCorrupt, StoreUnavailable
from chatbot_erp.eventstore.events import Event, InstanceCreated, MessageAccepted, MessageReceived
from chatbot_erp.eventstore.log_reader import LogReader
from chatbot_erp.eventstore.sealing import Sealer
from chatbot_erp.eventstore.store import EventStore, NewEvent
from chatbot_erp.eventstore.subject_keys import SubjectKeys, Wanted
from chatbot_erp.eventstore.subjects import Subjects
from chatbot_erp.eventstore.vault import Vault
from chatbot_erp.eventstore.verify import verify

Facts = Callable[[Event], NewEvent]

TODAY = "2026-11-24"


def received(jid: str, jid_alt: str | None = None, text: str = "a secret wish") -> MessageReceived:
    return MessageReceived(
        message_id="3EB0",
        jid=jid,
        jid_alt=jid_alt,
        participant=None,
        push_name="Fulana de Tal",
        kind="text",
        text=text,
        sent_at=datetime.now(UTC),
        raw=msgspec.Raw(b'{"conversation":"a secret wish"}'),
    )


def stored_objects(directory: Path) -> list[Any]:
    with closing(sqlite3.connect(directory / "events.db")) as log:
        return [msgspec.json.decode(data) for (data,) in log.execute("SELECT data FROM events ORDER BY position")]


def test_what_is_personal_is_in_no_file_in_clear_and_is_read_as_it_was(
    store: EventStore, directory: Path, new: Facts
) -> None:
    event = received("5511987654321@s.whatsapp.net", "200000000000001@lid")
    (record,) = store.append("s", 0, [new(event)], snapshot=b"").result().records
    (read,) = store.read()
    assert read == record
    assert read.event == event
    assert msgspec.json.decode(read.data)["text"] == "a secret wish"
    with LogReader.open(directory) as log:
        assert log.read() == [read]
    everywhere = {path.name: path.read_bytes() for path in directory.iterdir() if path.name != "keys.db"}
    for personal in (b"secret wish", b"Fulana", b"987654321", b"87654321", b"200000000000001"):
        assert not [name for name, content in everywhere.items() if personal in content]


def test_both_names_of_a_party_lead_to_one_subject_also_when_that_is_found_out_late(
    store: EventStore, directory: Path, new: Facts
) -> None:
    events = [
        received("5511987654321@s.whatsapp.net"),
        received("200000000000001@lid"),
        MessageAccepted(command_id="c", number="551187654321", kind="text", text=""),
        received("200000000000001@lid", "5511987654321@s.whatsapp.net"),
        received("5511987654321@s.whatsapp.net", "200000000000001@lid"),
        received("5511999999999@s.whatsapp.net"),
    ]
    for version, event in enumerate(events):
        store.append("s", version, [new(event)], snapshot=b"").result()
    phone, lid, accepted, both, again, other = [each["sealed"]["subject"] for each in stored_objects(directory)]
    assert phone == accepted != lid
    assert both == again
    assert other not in (phone, lid)
    with closing(sqlite3.connect(directory / "keys.db")) as keys:
        people = dict(keys.execute("SELECT subject, person FROM subjects"))
    assert people[phone] == people[lid] == people[both] != people[other]
    assert [record.event for record in store.read()] == events


def test_a_log_without_its_keys_is_read_with_its_personal_fields_empty_and_verifies(
    store: EventStore, directory: Path, new: Facts
) -> None:
    store.append("s", 0, [new(received("5511987654321@s.whatsapp.net"))], snapshot=b"").result()
    store.close()
    (directory / "keys.db").unlink()
    with LogReader.open(directory) as log:
        (record,) = log.read()
    assert record.erased
    assert isinstance(record.event, MessageReceived)
    assert (record.event.jid, record.event.text, record.event.push_name, record.event.kind) == ("", "", "", "text")
    shown = msgspec.json.decode(record.data)
    assert (shown["erased"], shown["raw"], "sealed" in shown) == (True, {}, False)
    assert verify(directory).problem is None


def test_a_store_whose_keys_are_missing_is_refused_and_makes_no_new_ones(
    directory: Path, created: Callable[[str], InstanceCreated], new: Facts
) -> None:
    keys = directory / "keys.db"
    with EventStore.open(directory) as store:
        store.append("s", 0, [new(created("a"))], snapshot=b"").result()
    keys.unlink()
    with EventStore.open(directory) as store:  # nobody is in it yet
        store.append("s", 1, [new(received("5511987654321@s.whatsapp.net"))], snapshot=b"").result()
    kept = keys.read_bytes()
    keys.unlink()
    for opening in (EventStore.open, Vault.open):
        with pytest.raises(KeysMissing, match=r"keys\.db is missing"):
            opening(directory)
    assert not keys.exists()
    keys.write_bytes(kept)
    with EventStore.open(directory) as store:
        assert [each.erased for each in store.read()] == [False, False]
    keys.write_bytes(b"")
    with EventStore.open(directory) as store:
        assert [each.erased for each in store.read()] == [False, True], "as somebody wanted who made an empty file"


def test_a_store_whose_keys_are_older_than_its_log_is_refused_until_somebody_says_that_the_newer_are_lost(
    directory: Path, new: Facts
) -> None:
    keys, others = directory / "keys.db", (f"55119876543{n}@s.whatsapp.net" for n in range(10, 99))
    with EventStore.open(directory) as store:
        store.append("s", 0, [new(received(next(others)))], snapshot=b"").result()
    older = keys.read_bytes()
    with EventStore.open(directory) as store:  # one who is new, and then the first one again
        store.append("s", 1, [new(received(next(others)))], snapshot=b"").result()
        store.append("s", 2, [new(received("5511987654310@s.whatsapp.net"))], snapshot=b"").result()
    newest = keys.read_bytes()
    keys.write_bytes(older)
    with pytest.raises(KeysOutdated, match=r"keys\.db is older than the log.* up to position 2"):
        EventStore.open(directory)
    with LogReader.open(directory) as log, pytest.raises(KeysOutdated):
        log.must_have_its_keys(directory)
    keys.write_bytes(newest)
    with EventStore.open(directory) as store:
        assert not any(each.erased for each in store.read())
    keys.write_bytes(older)
    (directory / "keys.older").touch()
    with EventStore.open(directory) as store:
        assert [each.erased for each in store.read()] == [False, True, False]


def test_keys_that_were_destroyed_or_given_up_for_a_new_beginning_keep_no_store_from_opening(
    directory: Path, new: Facts
) -> None:
    keys, hers, his = directory / "keys.db", canonical("5511987654321"), canonical("5511987654322")
    with EventStore.open(directory) as store:
        store.append("s", 0, [new(received(f"{each}@s.whatsapp.net")) for each in (his, hers)], snapshot=b"").result()
        subjects = Subjects(store)
        erasure = subjects.begin([hers], datetime.now(UTC))
        destroyed = subjects.destroy(erasure, [hers], datetime.now(UTC))
    with EventStore.open(directory) as store:  # cut off before its event
        Subjects(store).finish(destroyed)
    with EventStore.open(directory) as store:
        assert [each.erased for each in store.read(stream="s")] == [False, True]
    keys.write_bytes(b"")
    with EventStore.open(directory) as store:
        store.append("s", 2, [new(received(f"{his}@s.whatsapp.net"))], snapshot=b"").result()
    with EventStore.open(directory) as store:
        assert [each.erased for each in store.read(stream="s")] == [True, True, False]


def test_a_box_does_not_open_at_another_place(directory: Path) -> None:
    keys = SubjectKeys.open(directory)
    sealer = Sealer(keys)
    event = received("5511987654321@s.whatsapp.net")
    wanted = sealer.wanted(event, TODAY)
    assert wanted is not None
    name, schema, data, shown = sealer.seal("stream", "id", event, TODAY, sealer.locks([wanted])[0])
    assert sealer.open("stream", "id", name, schema, data).shown == shown
    assert sealer.open("other", "id", name, schema, data).erased
    assert sealer.open("stream", "other", name, schema, data).erased
    with pytest.raises(LogCorrupt, match="not sealed"):
        sealer.open("stream", "id", name, schema, data.replace('"box":"', '"box":7,"x":"'))
    keys.close()


def test_a_message_of_an_old_log_may_say_sealed_in_its_own_words(directory: Path) -> None:
    keys = SubjectKeys.open(directory)
    event = msgspec.structs.replace(received("551187654321@s.whatsapp.net"), raw=msgspec.Raw(b'{"sealed":{"a":1}}'))
    clear = msgspec.json.encode(event).decode()
    assert Sealer(keys).open("s", "id", "message.received", 1, clear).event == event
    keys.close()


def test_many_threads_with_new_subjects_share_the_disk_and_agree(directory: Path) -> None:
    keys = SubjectKeys.open(directory)
    found: dict[int, list[str]] = {}

    def work(n: int) -> None:
        wanted = [Wanted((f"{each}",), TODAY) for each in range(n % 2, 40, 2)]
        found[n] = [lock.subject for lock in keys.locks(wanted)]

    threads = [threading.Thread(target=work, args=(n,)) for n in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(found[n] == found[n % 2] for n in range(16))
    assert len({*found[0], *found[1]}) == 40
    keys.close()
    again = SubjectKeys.open(directory)
    assert again.locks([Wanted(("7",), TODAY)])[0].subject == found[1][3]
    again.close()


def test_an_append_about_somebody_new_is_refused_where_his_key_cannot_be_stored(
    store: EventStore, directory: Path, new: Facts
) -> None:
    store.append("s", 0, [new(received("1@s.whatsapp.net"))], snapshot=b"").result()
    with closing(sqlite3.connect(directory / "keys.db")) as keys:
        keys.execute("CREATE TRIGGER full BEFORE INSERT ON subjects BEGIN SELECT RAISE(ABORT, 'no'); END")
    with pytest.raises(StoreUnavailable):
        store.append("s", 1, [new(received("2@s.whatsapp.net"))], snapshot=b"")
    store.append("s", 1, [new(received("1@s.whatsapp.net"))], snapshot=b"").result()
    with closing(sqlite3.connect(directory / "keys.db")) as keys:
        keys.execute("DROP TRIGGER full")
    store.append("s", 2, [new(received("2@s.whatsapp.net"))], snapshot=b"").result()
    assert store.head() == 3
