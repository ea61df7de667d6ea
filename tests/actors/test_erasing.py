"""Forgetting somebody in the log and in every file beside it."""

import os
import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from chatbot_erp.actors import session_traces
from chatbot_erp.actors.assembly import keep_names
from chatbot_erp.actors.commands import Observed
from chatbot_erp.actors.config import Config
from chatbot_erp.actors.erasing import Eraser
from chatbot_erp.actors.errors import BadNumber
from chatbot_erp.actors.frames import Said, SocketSent
from chatbot_erp.actors.instance import decide
from chatbot_erp.actors.media_files import MediaFiles
from chatbot_erp.actors.media_specs import media_in
from chatbot_erp.actors.spool import read_spools, write_spool
from chatbot_erp.actors.state import Instance
from chatbot_erp.eventstore.addresses import canonical
from chatbot_erp.eventstore.events import Ack, MessageAccepted, MessageAcknowledged, Status
from chatbot_erp.eventstore.store import EventStore
from erasing_world import (
    HER,
    HER_LID,
    HIM,
    IMAGE,
    NOW,
    everything,
    message,
    session,
    spoken,
    tell,
    text_of,
)


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


def test_a_number_as_it_is_dialled_at_home_is_hers_where_sends_take_it_so(config: Config, store: EventStore) -> None:
    tell(store, message(HER, "her wish"))
    at_home = f"({HER[2:4]}) {HER[4:]}"
    assert Eraser(store, config).held(at_home, after=0, limit=9).records == (), "else this test shows nothing"
    eraser = Eraser(store, msgspec.structs.replace(config, default_region="BR"))
    assert [record.event.text for record in eraser.held(at_home, after=0, limit=9).records] == ["her wish"]  # type: ignore[attr-defined]
    assert eraser.erase(at_home, NOW).subjects == 1
    assert text_of(store) == [""]


def test_what_is_no_number_changes_nothing(config: Config, store: EventStore) -> None:
    with pytest.raises(BadNumber):
        Eraser(store, config).erase("nobody", NOW)
    assert Eraser(store, config).held("1203630000@g.us", after=0, limit=9).records == ()
