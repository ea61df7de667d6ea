"""Forgetting somebody in the log and in every file beside it, whatever comes in between."""

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import msgspec
import pytest

from chatbot_erp.actors import doctor, session_traces
from chatbot_erp.actors.commands import Observed
from chatbot_erp.actors.config import Config
from chatbot_erp.actors.erasing import Eraser
from chatbot_erp.actors.errors import BadNumber, ErasureUnfinished
from chatbot_erp.actors.frames import Said, SocketReceived, SocketSent
from chatbot_erp.actors.instance import decide
from chatbot_erp.actors.media_files import MediaFiles
from chatbot_erp.actors.media_specs import media_in
from chatbot_erp.actors.serve import Surroundings, keep_names, open_house
from chatbot_erp.actors.spool import read_spools, write_spool
from chatbot_erp.actors.state import Instance
from chatbot_erp.eventstore.addresses import canonical
from chatbot_erp.eventstore.errors import LogCorrupt
from chatbot_erp.eventstore.events import Ack, Event, MessageAccepted, MessageAcknowledged, MessageReceived, Status
from chatbot_erp.eventstore.store import EventStore, NewEvent
from chatbot_erp.eventstore.subjects import Subjects
from chatbot_erp.eventstore.verify import verify
from fake_sockets import received

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
LATER = NOW + timedelta(minutes=10)
HER, HIM = "5511987654321", "5511911111111"
HER_LID = "200000000000001"
IMAGE = msgspec.Raw(
    b'{"imageMessage":{"directPath":"/a","mediaKey":"AAAA","fileSHA256":"AAAA","fileEncSHA256":"AAAA"}}'
)


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return Config(data_dir=tmp_path / "data", media_keep_days=30)


@pytest.fixture
def store(config: Config) -> Iterator[EventStore]:
    with EventStore.open(config.data_dir) as store:
        yield store


def message(number: str, text: str, *, lid: str | None = None, raw: msgspec.Raw = IMAGE) -> MessageReceived:
    return MessageReceived(
        message_id=f"3EB0{number}"[-8:],
        jid=f"{number}@s.whatsapp.net",
        jid_alt=f"{lid}@lid" if lid else None,
        participant=None,
        push_name="Somebody",
        kind="image",
        text=text,
        sent_at=NOW,
        raw=raw,
    )


def tell(store: EventStore, *events: Event, at: datetime = NOW) -> None:
    new = [NewEvent(id=str(uuid4()), event=each, recorded_at=at) for each in events]
    store.append("shop", store.version("shop"), new, snapshot=b"state").result()


def spoken(text: str, number: str) -> SocketReceived:
    return msgspec.structs.replace(received(text), jid=f"{number}@s.whatsapp.net")


def text_of(store: EventStore) -> list[str]:
    return [each.event.text for each in store.read() if isinstance(each.event, MessageReceived)]


def session(directory: Path, *others: tuple[str, str, str]) -> Path:
    """As the library lays it out, with these others (number, LID, name), and with pages that were used before."""
    path = directory / "sessions" / "shop.db"
    path.parent.mkdir(parents=True)
    with closing(sqlite3.connect(path, isolation_level=None)) as made:
        made.executescript("""
            PRAGMA journal_mode = WAL;
            PRAGMA secure_delete = OFF;
            CREATE TABLE whatsmeow_device (jid TEXT PRIMARY KEY, lid TEXT);
            CREATE TABLE whatsmeow_lid_map (lid TEXT PRIMARY KEY, pn TEXT UNIQUE NOT NULL);
            CREATE TABLE whatsmeow_contacts (our_jid TEXT, their_jid TEXT, push_name TEXT);
            CREATE TABLE whatsmeow_sessions (our_jid TEXT, their_id TEXT, session BLOB);
            CREATE TABLE whatsmeow_sender_keys (our_jid TEXT, chat_id TEXT, sender_id TEXT, sender_key BLOB);
            INSERT INTO whatsmeow_device VALUES ('5511900000000:1@s.whatsapp.net', '300000000000003:1@lid');
        """)
        for number, lid, name in others:
            made.execute("INSERT INTO whatsmeow_lid_map VALUES (?, ?)", (lid, number))
            made.execute("INSERT INTO whatsmeow_contacts VALUES ('us', ?, ?)", (f"{lid}@lid", f"{name} " * 2000))
            made.execute("DELETE FROM whatsmeow_contacts WHERE their_jid = ?", (f"{lid}@lid",))
            made.execute("INSERT INTO whatsmeow_contacts VALUES ('us', ?, ?)", (f"{lid}@lid", name))
            made.execute("INSERT INTO whatsmeow_sessions VALUES ('us', ?, x'00')", (f"{lid}_1:0",))
            made.execute("INSERT INTO whatsmeow_sender_keys VALUES ('us', '1203@g.us', ?, x'00')", (f"{lid}_1:0",))
    return path


def everything(directory: Path) -> bytes:
    return b"".join(path.read_bytes() for path in directory.rglob("*") if path.is_file())


def damage(directory: Path, position: int) -> None:
    """Make an event of the log unreadable, as a sick disk does."""
    with closing(sqlite3.connect(directory / "events.db")) as log:
        log.execute("DROP TRIGGER IF EXISTS events_are_not_updated")
        log.execute("UPDATE events SET data = replace(data, '\"box\":', '\"bo\":') WHERE position = ?", (position,))
        log.execute("UPDATE events SET data = '[]' WHERE position = ? AND type = 'subject.erased'", (position,))
        log.commit()


def test_every_file_beside_the_log_lets_go_of_her_and_keeps_what_is_of_others(
    config: Config, store: EventStore
) -> None:
    data = config.data_dir
    other = msgspec.Raw(bytes(IMAGE).replace(b"/a", b"/b"))
    tell(store, message(HER, "her wish", lid=HER_LID), message(HIM, "his wish", raw=other))
    files = MediaFiles(config)
    for raw, content in ((IMAGE, b"her face"), (other, b"his face")):
        media = media_in(raw, "m")
        assert media is not None
        download = files.new("shop")
        download.write_bytes(content)
        files.keep("shop", media, download)
    (data / "parked").mkdir()
    (data / "parked" / "1.json").write_text(f'{{"command":"jid=\'{HER_LID}@lid\' her parked wish"}}')
    (data / "parked" / "2.json").write_text(f'{{"command":"jid=\'{HIM}\' his parked wish"}}')
    (data / "hosts").mkdir()
    (data / "hosts" / "h.log").write_text(f"no session with {HER_LID}:0 and {HIM}, {HER_LID}:1\n")
    words = [
        Said(
            instance="shop",
            generation=1,
            number=1,
            observation=spoken("her spooled wish", HER),
        ),
        Said(
            instance="shop",
            generation=1,
            number=2,
            observation=spoken("his spooled wish", HIM),
        ),
    ]
    spool = write_spool(data, "host", words)
    os.utime(spool, (1, 1))
    path = session(data, (HER, HER_LID, "Dolores"), (HIM, "400000000000004", "Jose"))

    with closing(sqlite3.connect(path)) as host:  # the library has it open, and its write-ahead file with it
        host.execute("UPDATE whatsmeow_contacts SET push_name = push_name || '!'")
        host.commit()
        assert b"Dolores" in path.with_name("shop.db-wal").read_bytes()
        erased = Eraser(store, config).erase(HER, NOW)
        left = everything(data)
    assert erased.subjects == 1
    for trace in ("her ", HER, HER[:4] + HER[5:], HER_LID, "Dolores"):
        assert trace.encode() not in left, trace
    for kept in (b"his face", b"his parked wish", b"his spooled wish", b"Jose", HIM.encode(), b"400000000000004"):
        assert kept in left, kept
    assert b"300000000000003:1@lid" in left, "our own account is nobody else"
    assert text_of(store) == ["", "his wish"]
    (spooled,) = read_spools(data)
    assert (spooled.words, spooled.damage) == (tuple(words[1:]), None)
    assert spooled.path.stat().st_mtime == 1, "its place among other spools is the same"


def test_what_cannot_be_read_of_a_spool_stays_where_it_is_not_about_them(store: EventStore, tmp_path: Path) -> None:
    hers, his = (
        msgspec.structs.replace(
            Said(instance="shop", generation=1, number=1, observation=spoken("a wish", whose)), number="of old"
        )
        for whose in (HER, HIM)
    )
    spool = write_spool(tmp_path, "host", [hers, his])
    torn = spool.read_bytes()[-40:]
    spool.write_bytes(spool.read_bytes() + torn)
    Eraser(store, Config(data_dir=tmp_path)).erase(HER, NOW)
    (spooled,) = read_spools(tmp_path)
    assert (len(spooled.records), spooled.words, spooled.torn) == (1, (), torn)
    assert spooled.damage is not None
    assert HER.encode() not in spooled.path.read_bytes()
    assert HIM.encode() in spooled.path.read_bytes()


def test_she_is_found_by_a_name_that_only_the_library_knows(config: Config, store: EventStore) -> None:
    tell(store, message(HER, "under her number"), msgspec.structs.replace(message(HER, "as LID"), jid=f"{HER_LID}@lid"))
    session(config.data_dir, (HER, HER_LID, "Dolores"))
    eraser = Eraser(store, config)
    assert set(eraser.held(HER, after=0, limit=9).addresses) == {HER[:4] + HER[5:], f"{HER_LID}@lid"}
    assert len(eraser.held(f"{HER_LID}@lid", after=0, limit=9).records) == 2
    assert eraser.erase(f"{HER_LID}@lid", NOW).subjects == 2
    assert text_of(store) == ["", ""]


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("5215512345678", "525512345678@s.whatsapp.net"),
        ("5493511234567", "100000000000007@lid"),
        (HIM, f"{HIM}@s.whatsapp.net"),
    ],
)
def test_who_was_written_to_under_another_number_than_whatsapp_knows_is_one_person(
    config: Config, store: EventStore, asked: str, found: str
) -> None:
    accepted = MessageAccepted(command_id="c", number=asked, kind="text", text="her offer")
    state = Instance(
        name="shop",
        endpoints=(),
        status=Status.CONNECTED,
        reason=None,
        since=NOW,
        account=None,
        paired=True,
        session_from=None,
        generation=1,
        restarts=0,
        pending=("c",),
    )
    seen = SocketSent(command_id="c", message_id="m", jid=found, sent_at=NOW, text="her offer", to=asked)
    tell(store, accepted, *decide(state, Observed(generation=1, observation=seen, at=NOW)))
    eraser = Eraser(store, config)
    for name in (asked, found):
        assert [each.type for each in eraser.held(name, after=0, limit=9).records] == [
            "message.accepted",
            "message.sent",
        ]
    eraser.erase(found, NOW)
    assert b"her offer" not in b"".join(bytes(each.data) for each in store.read())
    assert canonical(asked).encode() not in everything(config.data_dir)


def test_what_a_session_knew_of_her_names_outlives_it_and_of_strangers_does_not(
    config: Config, store: EventStore
) -> None:
    ack = MessageAcknowledged(message_id="3EB0", jid=f"{HER_LID}@lid", participant=None, ack=Ack.READ)
    tell(store, MessageAccepted(command_id="c", number=HER, kind="text", text="her offer"), ack)
    path = session(config.data_dir, (HER, HER_LID, "Dolores"), (HIM, "400000000000004", "Jose"))
    keep_names(store, path)
    keep_names(store, path)
    path.unlink()
    eraser = Eraser(store, config)
    assert len(eraser.held(HER, after=0, limit=9).records) == 2
    assert eraser.held(HIM, after=0, limit=9).addresses == (canonical(HIM),)
    eraser.erase(HER, NOW)
    assert [each.erased for each in store.read(stream="shop")] == [True, True]
    assert HER_LID.encode() not in everything(config.data_dir)
    damaged = path.with_name("a.db")
    damaged.write_bytes(b"no database")
    keep_names(store, damaged)


def test_an_erasure_that_a_file_refuses_is_finished_later(config: Config, store: EventStore) -> None:
    tell(store, message(HER, "her wish"))
    obstacle = config.data_dir / "parked" / "1.json"
    obstacle.mkdir(parents=True)  # reading it fails, as reading from a sick disk does
    eraser = Eraser(store, config)
    with pytest.raises(ErasureUnfinished, match="The keys are destroyed, but"):
        eraser.erase(HER, NOW)
    assert text_of(store) == [""], "the log waits for no file"
    with pytest.raises(ErasureUnfinished):
        eraser.resume(LATER)
    obstacle.rmdir()
    obstacle.write_text(f"her parked wish, {HER}")
    eraser.resume(LATER)
    assert not obstacle.exists()
    (event,) = store.read(types={"subject.erased"})
    assert event.recorded_at == NOW, "when the keys were destroyed"
    assert (store.keys.unfinished_erasures(), HER.encode() in everything(config.data_dir)) == ([], False)


def test_nothing_is_told_to_be_forgotten_while_a_spool_keeps_it(config: Config, store: EventStore) -> None:
    tell(store, message(HER, "her wish"))
    obstacle = config.data_dir / "spool" / "h.spool"
    obstacle.mkdir(parents=True)
    eraser = Eraser(store, config)
    with pytest.raises(ErasureUnfinished):
        eraser.erase(HER, NOW)
    assert text_of(store) == ["her wish"], "what is read from the spool later would be of somebody new"
    obstacle.rmdir()
    eraser.resume(LATER)
    assert text_of(store) == [""]
    (event,) = store.read(types={"subject.erased"})
    assert event.recorded_at == LATER


def test_a_damaged_session_keeps_no_key_and_no_other_session_from_being_cleaned(
    config: Config, store: EventStore
) -> None:
    tell(store, message(HER, "her wish"))
    sound = session(config.data_dir, (HER, HER_LID, "Dolores"))
    damaged = sound.with_name("a.db")
    damaged.write_bytes(b"no database, but of " + HER.encode())
    eraser = Eraser(store, config)
    with pytest.raises(ErasureUnfinished, match="the session a cannot be cleaned"):
        eraser.erase(HER, NOW)
    assert text_of(store) == [""]
    assert b"Dolores" not in sound.read_bytes()
    tell(store, message(HIM, "his wish"))
    assert eraser.erase(HIM, NOW).subjects == 1, "one that has to wait holds up no other"
    assert [finding.seen for finding in doctor.log(config.data_dir) if finding.what == "erasures"] == [
        f"1 not finished, the oldest of {NOW:%Y-%m-%d %H:%M}"
    ]
    damaged.unlink()
    eraser.resume(LATER)
    assert [finding for finding in doctor.log(config.data_dir) if finding.what == "erasures"] == []
    assert HER.encode() not in everything(config.data_dir)
    assert len(store.read(types={"subject.erased"})) == 2


def test_an_erasure_that_is_stuck_leaves_her_new_life_alone(config: Config, store: EventStore) -> None:
    tell(store, message(HER, "her wish"))
    data = config.data_dir
    sound = session(data, (HER, HER_LID, "Dolores"))
    damaged = sound.with_name("a.db")
    damaged.write_bytes(b"no database, but of " + HER.encode())
    (data / "parked").mkdir()
    stuck, locked = data / "parked" / "1.json", data / "parked" / "2.json"
    stuck.mkdir()
    locked.mkdir()
    eraser = Eraser(store, config)
    with pytest.raises(ErasureUnfinished):
        eraser.erase(HER, NOW)
    with closing(sqlite3.connect(sound, isolation_level=None)) as library:
        library.execute("INSERT INTO whatsmeow_sessions VALUES ('us', ?, x'01')", (f"{HER_LID}_1:0",))
    written = data / "parked" / "3.json"
    written.write_text(f"her new wish, {HER}")
    locked.rmdir()
    for _ in range(2):
        with pytest.raises(ErasureUnfinished, match="the session a cannot be cleaned"):
            eraser.resume(LATER)
        locked.write_text(f"her newer wish, {HER}")  # one that was cleaned is not cleaned again
    with closing(sqlite3.connect(sound)) as library:
        assert library.execute("SELECT count(*) FROM whatsmeow_sessions").fetchone() == (1,)
    assert written.exists()
    assert locked.exists()
    stuck.rmdir()
    damaged.unlink()
    eraser.resume(LATER)
    assert store.keys.unfinished_erasures() == []


def test_an_erasure_that_an_earlier_manager_left_is_finished_in_every_file(config: Config, store: EventStore) -> None:
    path = session(config.data_dir, (HER, HER_LID, "Dolores"))
    row = (
        str(uuid4()),
        NOW.isoformat(),
        msgspec.json.encode({"type": "destroyed", "subjects": [], "addresses": [HER]}).decode(),
    )
    with closing(sqlite3.connect(config.data_dir / "keys.db")) as keys:
        keys.execute("INSERT INTO erasures VALUES (?, ?, ?)", row)
        keys.commit()
    Eraser(store, config).resume(LATER)
    assert HER.encode() not in path.read_bytes()
    assert store.keys.unfinished_erasures() == []


def test_a_session_that_cannot_even_be_read_keeps_no_other_from_being_cleaned(
    config: Config, store: EventStore
) -> None:
    tell(store, message(HER, "her wish"))
    sound = session(config.data_dir, (HER, HER_LID, "Dolores"))
    sound.with_name("a.db").mkdir()
    with pytest.raises(ErasureUnfinished, match="the session a cannot be cleaned"):
        Eraser(store, config).erase(HER, NOW)
    assert b"Dolores" not in sound.read_bytes()


def test_a_file_of_hers_that_cannot_be_removed_keeps_no_key(config: Config, store: EventStore) -> None:
    tell(store, message(HER, "her wish"))
    media = media_in(IMAGE, "m")
    assert media is not None
    obstacle = MediaFiles(config).place("shop", media)
    obstacle.mkdir(parents=True)
    eraser = Eraser(store, config)
    with pytest.raises(ErasureUnfinished, match="The keys are destroyed, but"):
        eraser.erase(HER, NOW)
    assert text_of(store) == [""]
    obstacle.rmdir()
    obstacle.write_bytes(b"her face")
    eraser.resume(LATER)
    assert not obstacle.exists()


def test_whose_number_is_within_hers_keeps_what_was_parked_and_said_of_him(config: Config, store: EventStore) -> None:
    her, him = "4930123456", "49301234567"
    other = f"1{her}"
    (config.data_dir / "parked").mkdir()
    (config.data_dir / "hosts").mkdir()
    texts = {
        "his": f"jid='{him}@s.whatsapp.net' {other}",
        "hers": f"jid='{her}@s.whatsapp.net'",
        "escaped": rf"text='call me:\xa0{her}'",
        "quoted": rf"text='\u2068{her}\u2069'",
        "linked": f"text='https://wa.me/?to=%20{her}'",
        "dialled": f"text='00{her}'",
    }
    for name, text in texts.items():
        (config.data_dir / "parked" / f"{name}.json").write_text(text)
    log = config.data_dir / "hosts" / "h.log"
    log.write_text(f"{him}, {her}:1, {other} and {her}")
    Eraser(store, config).erase(her, NOW)
    assert [path.name for path in (config.data_dir / "parked").iterdir()] == ["his.json"]
    assert log.read_text() == f"{him}, xxxxxxxxxx:1, {other} and xxxxxxxxxx"


def test_a_damaged_event_of_hers_keeps_neither_key_nor_file(config: Config, store: EventStore) -> None:
    tell(store, message(HER, "damaged"), message(HER, "her wish"), message(HIM, "his wish"))
    media = media_in(IMAGE, "m")
    assert media is not None
    files = MediaFiles(config)
    download = files.new("shop")
    download.write_bytes(b"her face")
    files.keep("shop", media, download)
    damage(config.data_dir, 1)
    with pytest.raises(LogCorrupt):
        store.read()
    assert Eraser(store, config).erase(HER, NOW).subjects == 1
    assert not files.any()
    assert [each.erased for each in store.read(after=1, limit=2)] == [True, False]


def test_an_erasure_that_cannot_be_finished_holds_up_neither_another_nor_the_start(config: Config) -> None:
    with EventStore.open(config.data_dir) as store:
        tell(store, message(HER, "her wish"), message(HIM, "his wish"))
        eraser = Eraser(store, config)
        stuck = eraser.erase(HER, NOW)
        people = Subjects(store)
        people.begin([canonical(HIM)], LATER)
        row = (stuck.id, NOW.isoformat(), '{"type":"destroyed","subjects":["0123456789abcdef"]}')
    with closing(sqlite3.connect(config.data_dir / "keys.db")) as keys:
        keys.execute("INSERT INTO erasures VALUES (?, ?, ?)", row)  # its manager died before this was deleted
        keys.commit()
    assert stuck.position is not None
    damage(config.data_dir, stuck.position)
    with open_house(config, Surroundings(environment={}, prelude=None)) as manager:
        assert [each.id for each in manager.store.keys.unfinished_erasures()] == [stuck.id]
        assert manager.store.read(after=1, limit=1)[0].erased


def test_a_trace_is_found_wherever_it_stands_in_a_large_file(tmp_path: Path) -> None:
    path = tmp_path / "large"
    path.write_bytes(b"-" * (session_traces.CHUNK - 5) + HER.encode() + b"-" * 99)
    assert session_traces.mentions(path, [HIM, HER])
    assert not session_traces.mentions(path, [HIM])
    assert not session_traces.mentions(tmp_path / "gone", [HER])


def test_what_was_parked_or_said_too_long_ago_is_dropped(config: Config, store: EventStore) -> None:
    tell(store, message(HER, "old"), at=NOW - timedelta(days=31))
    tell(store, message(HER, "new"), at=NOW - timedelta(days=29))
    parked = config.data_dir / "parked"
    parked.mkdir()
    for name, days in (("old", 31), ("new", 29)):
        (parked / f"{name}.json").write_text("{}")
        moment = (NOW - timedelta(days=days)).timestamp()
        os.utime(parked / f"{name}.json", (moment, moment))
    eraser = Eraser(store, config)
    for _ in range(2):
        eraser.expire(30, NOW)
    assert text_of(store) == ["", "new"]
    assert [path.name for path in parked.iterdir()] == ["new.json"]
    assert len(store.read(types={"content.expired"})) == 1


def test_what_is_parked_and_cannot_be_removed_keeps_nothing_else_from_being_dropped(
    config: Config, store: EventStore
) -> None:
    tell(store, message(HER, "old"), at=NOW - timedelta(days=31))
    parked = config.data_dir / "parked"
    for name in ("a", "b", "c"):
        (parked / f"{name}.json").mkdir(parents=True)
    (parked / "b.json").rmdir()
    (parked / "b.json").write_text("{}")
    for path in parked.iterdir():
        os.utime(path, (1, 1))
    with pytest.raises(OSError, match=r"a\.json"):
        Eraser(store, config).expire(30, NOW)
    assert text_of(store) == [""]
    assert not (parked / "b.json").exists()


def test_what_is_no_number_changes_nothing(config: Config, store: EventStore) -> None:
    with pytest.raises(BadNumber):
        Eraser(store, config).erase("nobody", NOW)
    assert Eraser(store, config).held("1203630000@g.us", after=0, limit=9).records == ()


CHILD = """
import itertools, sys
from pathlib import Path
sys.path[:0] = sys.argv[2:]
from test_erasing import Config, EventStore, Eraser, LATER, NOW, message, tell
config = Config(data_dir=Path(sys.argv[1]))
with EventStore.open(config.data_dir) as store:
    eraser = Eraser(store, config)
    eraser.resume(LATER)
    for n in itertools.count(store.head()):
        number = f"4917{n:08}"
        tell(store, message(number, "a wish that must go"))
        eraser.erase(number, NOW)
        print(number, flush=True)
"""


def test_a_kill_at_any_moment_leaves_no_erasure_undone_and_no_chain_broken(config: Config) -> None:
    data, here = config.data_dir, Path(__file__).parent
    erased: list[str] = []
    for said in (1, 2, 3, 5, 8):
        places = [str(here), str(here.parent / "support")]
        with subprocess.Popen([sys.executable, "-c", CHILD, str(data), *places], stdout=subprocess.PIPE) as child:
            assert child.stdout is not None
            erased += [child.stdout.readline().decode().strip() for _ in range(said)]
            child.send_signal(signal.SIGKILL)
            erased += [
                line.strip() for line in child.stdout.read().decode().splitlines(keepends=True) if line.endswith("\n")
            ]
        assert child.wait() == -signal.SIGKILL
        assert verify(data).problem is None
    with EventStore.open(data) as store:
        eraser = Eraser(store, config)
        eraser.resume(LATER)
        assert store.keys.unfinished_erasures() == []
        assert all(eraser.held(number, after=0, limit=9).records == () for number in erased)
        assert len(store.read(types={"subject.erased"}, limit=1000)) >= len(erased) >= 19
        assert len([text for text in text_of(store) if text]) <= 5, "but for whom no erasure was begun, all are gone"
    assert not any(number.encode() in everything(data) for number in erased)
