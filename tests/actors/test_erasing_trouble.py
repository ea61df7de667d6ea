"""Forgetting somebody where a file refuses it, something is damaged or the process is killed: begun is finished."""

import fcntl
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from threading import Lock, Thread
from uuid import uuid4

import msgspec
import pytest
from filelock import FileLock

from chatbot_erp.actors import doctor, remains
from chatbot_erp.actors.assembly import Surroundings, open_house
from chatbot_erp.actors.config import Config
from chatbot_erp.actors.erasing import Eraser
from chatbot_erp.actors.errors import ErasureUnfinished
from chatbot_erp.actors.frames import Said
from chatbot_erp.actors.media_files import MediaFiles
from chatbot_erp.actors.media_specs import media_in
from chatbot_erp.actors.spool import PART, WHOLE, packed, read_spools, write_spool
from chatbot_erp.actors.subject_commands import forget
from chatbot_erp.eventstore.addresses import canonical
from chatbot_erp.eventstore.erasures import Destroyed
from chatbot_erp.eventstore.errors import LogCorrupt
from chatbot_erp.eventstore.store import EventStore
from chatbot_erp.eventstore.subjects import Subjects
from chatbot_erp.eventstore.verify import verify
from erasing_world import (
    HER,
    HER_LID,
    HIM,
    IMAGE,
    LATER,
    NOW,
    Nobody,
    damage,
    everything,
    message,
    session,
    spoken,
    tell,
    text_of,
)


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


def test_a_spool_is_not_changed_while_somebody_reads_it(
    config: Config, store: EventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remains, "SPOOLS_PATIENCE_S", 0.0)
    tell(store, message(HER, "her wish"))
    spool = write_spool(
        config.data_dir, "h", [Said(instance="shop", generation=1, number=1, observation=spoken("a spooled wish", HER))]
    )
    spools = Lock()
    eraser = Eraser(store, config, None, spools)
    with spools, pytest.raises(ErasureUnfinished, match="not destroyed yet: .*they are just read"):
        eraser.erase(HER, NOW)
    assert spool.exists()
    eraser.resume(LATER)
    assert (spool.exists(), text_of(store)) == (False, [""])


@contextmanager
def writing_host(directory: Path, name: str) -> Iterator[Path]:
    """A socket host that lives, and has written of its spool what she and he said; where that is."""
    (directory / "hosts").mkdir(parents=True, exist_ok=True)
    with (directory / "hosts" / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        said = Said(instance="shop", generation=1, number=1, observation=spoken("a spooled wish", HER))
        his = msgspec.structs.replace(said, number=2, observation=spoken("his", HIM))
        spool = write_spool(directory, f"{name}-77", [said, his])
        yield spool.rename(spool.with_suffix(PART))


def test_what_a_host_still_writes_keeps_the_keys_until_it_is_whole_and_cleaned(
    config: Config, store: EventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remains, "SPOOLS_PATIENCE_S", 0.0)
    tell(store, message(HER, "her wish"))
    eraser = Eraser(store, config)
    with writing_host(config.data_dir, "h") as part:
        with pytest.raises(ErasureUnfinished, match="not destroyed yet: .*still writing"):
            eraser.erase(HER, NOW)
        assert text_of(store) == ["her wish"], "what is read from the spool later would be of somebody new"
        spool = part.rename(part.with_suffix(WHOLE))
    eraser.resume(LATER)
    assert text_of(store) == [""]
    assert [word.number for each in read_spools(config.data_dir) for word in each.words] == [2]
    assert b"a spooled wish" not in spool.read_bytes()
    assert store.keys.unfinished_erasures() == []


@pytest.mark.parametrize("ended", ["before", "meanwhile"])
def test_what_a_host_that_ended_did_not_finish_is_cleaned_before_it_is_read(
    config: Config, store: EventStore, ended: str
) -> None:
    tell(store, message(HER, "her wish"))
    with ExitStack() as life:
        part = life.enter_context(writing_host(config.data_dir, "h"))
        end = Thread(target=life.close)
        end.start()
        if ended == "before":
            end.join()
        Eraser(store, config).erase(HER, NOW)
        end.join()
    assert not part.exists()
    assert [word.number for each in read_spools(config.data_dir) for word in each.words] == [2]
    assert b"a spooled wish" not in everything(config.data_dir)


def test_a_host_that_begins_to_write_after_the_keys_were_destroyed_has_its_spool_read_only_when_it_is_clean(
    config: Config, store: EventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remains, "SPOOLS_PATIENCE_S", 0.0)
    tell(store, message(HER, "her wish"))
    people, hers = Subjects(store), [canonical(HER)]
    erasure = people.destroy(people.begin(hers, NOW), hers, NOW, left={store.company.machine: None})
    eraser = Eraser(store, config)
    with writing_host(config.data_dir, "h") as part:
        with pytest.raises(ErasureUnfinished, match="are destroyed, but .*still writing"):
            eraser.resume(LATER)
        (left,) = store.keys.unfinished_erasures()
        assert (left.id, left.keeps_spools_of(store.company.machine, store.company.life)) == (erasure.id, True)
        part.rename(part.with_suffix(WHOLE))
    eraser.resume(LATER)
    assert b"a spooled wish" not in everything(config.data_dir)
    assert store.keys.unfinished_erasures() == []


def test_what_was_to_stand_instead_of_a_spool_does_not_outlive_it(config: Config, store: EventStore) -> None:
    tell(store, message(HER, "her wish"))
    draft = config.data_dir / "spool" / "h.new"  # of a life that ended just before it took its place
    draft.parent.mkdir()
    draft.write_bytes(packed([Said(instance="shop", generation=1, number=1, observation=spoken("her draft", HER))]))
    Eraser(store, config).erase(HER, NOW)
    assert not draft.exists()


def test_a_spool_that_is_still_to_be_cleaned_is_not_read(config: Config) -> None:
    said = Said(instance="shop", generation=1, number=1, observation=spoken("a spooled wish", HER))
    spool = write_spool(config.data_dir, "h", [said, msgspec.structs.replace(said, observation=spoken("his", HIM))])
    obstacle = spool.with_suffix(".new")
    obstacle.mkdir()  # what is left of the spool cannot be written
    with EventStore.open(config.data_dir) as store:
        people, hers = Subjects(store), [canonical(HER)]
        people.destroy(people.begin(hers, NOW), hers, NOW, left={store.company.machine: None})
    with open_house(config, Surroundings(environment={}, prelude=None)) as manager:
        (erasure,) = manager.store.keys.unfinished_erasures()
        assert isinstance(erasure.stage, Destroyed)
        assert list(erasure.stage.left.values()) == [("spool",)]
    assert spool.exists()
    obstacle.rmdir()
    with open_house(config, Surroundings(environment={}, prelude=None)) as manager:
        assert manager.store.keys.unfinished_erasures() == []
    assert not spool.exists()


def test_what_an_earlier_manager_left_to_the_one_machine_there_is_is_cleaned(config: Config) -> None:
    with EventStore.open(config.data_dir) as store:
        tell(store, message(HER, "her wish"))
        people, hers = Subjects(store), [canonical(HER)]
        people.destroy(people.begin(hers, NOW), hers, NOW, left={"here": None})
    parked = config.data_dir / "parked" / "1.json"
    parked.parent.mkdir()
    parked.write_text(f"her wish, {HER}")
    with EventStore.open(config.data_dir) as store:
        Eraser(store, config).resume(LATER)
        assert store.keys.unfinished_erasures() == []
    assert not parked.exists()


def test_the_command_cleans_also_what_a_host_had_no_time_to_finish(config: Config) -> None:
    with EventStore.open(config.data_dir) as store:
        tell(store, message(HER, "her wish"))
    spool = write_spool(
        config.data_dir, "h", [Said(instance="shop", generation=1, number=1, observation=spoken("a spooled wish", HER))]
    )
    spool.rename(spool.with_suffix(PART))
    forget(config.data_dir, None, HER, Nobody(), as_json=True)
    assert b"a spooled wish" not in everything(config.data_dir)


@dataclass(frozen=True)
class Answered:
    id: str = "e"
    subjects: int = 1
    awaited: tuple[str, ...] = ()


class Running:
    """A manager that is asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def erase(self, number: str) -> Answered:
        self.asked.append(number)
        return Answered()


def test_a_manager_that_runs_is_asked_for_whom_was_typed_unless_a_region_says_who_that_is(config: Config) -> None:
    with EventStore.open(config.data_dir):
        pass
    manager = Running()
    with FileLock(config.data_dir / "manager.lock"):
        for region in (None, "BR"):
            forget(config.data_dir, None, "(11) 98765/4321", manager, as_json=True, default_region=region)
    assert manager.asked == ["(11) 98765-4321", "+5511987654321"]


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


CHILD = """
import itertools, sys
from pathlib import Path
sys.path[:0] = sys.argv[2:]
from chatbot_erp.actors.config import Config
from chatbot_erp.actors.erasing import Eraser
from chatbot_erp.eventstore.store import EventStore
from erasing_world import LATER, NOW, message, tell
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
