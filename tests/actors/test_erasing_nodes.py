"""Forgetting somebody where several nodes, each with a machine of its own, share the log."""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click
import psycopg
import pytest
from structlog.testing import capture_logs

from chatbot_erp.actors import erasing, spool_exchange
from chatbot_erp.actors.config import Config
from chatbot_erp.actors.erasing import Eraser
from chatbot_erp.actors.errors import ErasureUnfinished
from chatbot_erp.actors.frames import Said
from chatbot_erp.actors.media_files import MediaFiles
from chatbot_erp.actors.media_specs import media_in
from chatbot_erp.actors.spool import packed, read_spools, write_spool
from chatbot_erp.actors.subject_commands import forget
from chatbot_erp.eventstore.addresses import canonical
from chatbot_erp.eventstore.lease import Node
from chatbot_erp.eventstore.places import move, open_store, open_vault
from chatbot_erp.eventstore.store import EventStore
from chatbot_erp.eventstore.subjects import Subjects
from chatbot_erp.eventstore.vault import Vault
from erasing_world import (
    HER,
    HER_LID,
    HIM,
    IMAGE,
    LATER,
    NOW,
    Nobody,
    everything,
    message,
    session,
    spoken,
    tell,
    text_of,
)
from waiting import wait_until

PATIENCE_S = 120.0


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(erasing, "OTHERS_PATIENCE_S", PATIENCE_S)


@dataclass
class Living:
    """A node that works."""

    store: EventStore
    eraser: Eraser
    vault: Vault
    directory: Path


Start = Callable[..., Any]


@pytest.fixture
def start(database: str, tmp_path: Path) -> Start:
    """Has a node work, on the machine that is called like it or that is named, as long as the context lasts."""

    @contextmanager
    def start(name: str, machine: str = "") -> Iterator[Living]:
        directory = tmp_path / (machine or name)
        config = Config(data_dir=directory, database=database, node=name, media_keep_days=30)
        node = Node(name=name, movable=True, lease_s=600.0)
        with open_store(config.data_dir, database, node) as store, closing(open_vault(database)) as vault:
            store.company.fix([])  # as the house does: what was lost before is no news from then on
            yield Living(store, Eraser(store, config, vault), vault, config.data_dir)

    return start


def leave_traces(directory: Path) -> None:
    """On the machine of a node: hers, and some of his."""
    for place, text in (("parked/1.json", f"her wish, {HER}"), ("parked/2.json", f"his wish, {HIM}")):
        (directory / place).parent.mkdir(parents=True, exist_ok=True)
        (directory / place).write_text(text)
    media = media_in(IMAGE, "m")
    assert media is not None
    files = MediaFiles(Config(data_dir=directory))
    download = files.new("shop")
    download.write_bytes(b"her face")
    files.keep("shop", media, download)
    session(directory, (HER, HER_LID, "Dolores"), (HIM, "400000000000004", "Jose"))
    write_spool(directory, "host", spooled())


def spooled() -> list[Said]:
    return [
        Said(instance="shop", generation=1, number=number, observation=spoken("a spooled wish", whose))
        for number, whose in enumerate((HER, HIM))
    ]


def numbers_spooled(directory: Path) -> list[int]:
    return [word.number for spool in read_spools(directory) for word in spool.words]


def is_clean(directory: Path) -> bool:
    """Whether nothing of hers is there; what is his must be."""
    left = everything(directory)
    assert HIM.encode() in left
    assert numbers_spooled(directory)[-1] == 1
    return not any(trace.encode() in left for trace in (HER, HER_LID, "her ", "Dolores"))


def test_every_node_that_works_cleans_its_machine_before_somebody_is_told_to_be_forgotten(start: Start) -> None:
    with start("a") as a, start("b") as b:
        tell(a.store, message(HER, "her wish", lid=HER_LID), message(HIM, "his wish"))
        for node in (a, b):
            leave_traces(node.directory)
        a.vault.put("spool", "shop/gone", (next((a.directory / "spool").iterdir())).read_bytes())
        erased = a.eraser.erase(HER, NOW)
        assert (erased.subjects, erased.awaited) == (1, ())
        assert text_of(b.store) == ["", "his wish"]
        assert is_clean(a.directory)
        assert is_clean(b.directory)
        spool_exchange.take_over(b.directory.with_name("c"), b.vault, is_mine=lambda _: True, is_gone=lambda _: False)
        assert numbers_spooled(b.directory.with_name("c")) == [1]
        assert a.store.keys.unfinished_erasures() == []
        assert b.eraser.erase(HER, LATER).subjects == 0


@pytest.mark.parametrize("reached", ["begun", "destroyed"])
def test_what_a_node_began_and_died_another_finishes_and_the_dead_one_cleans_its_machine_when_it_is_back(
    start: Start, reached: str
) -> None:
    with start("a") as a, start("b") as b:
        tell(a.store, message(HER, "her wish", lid=HER_LID))
        for node in (a, b):
            leave_traces(node.directory)
        a.store.keys.heed(lambda: None)
        a.store.company.close()
        b.store.keys.heed(lambda: None)
        people, hers = Subjects(a.store), [canonical(HER)]
        erasure = people.begin(hers, NOW)
        if reached == "destroyed":
            people.destroy(erasure, hers, NOW, left={"a": None, "b": None, "": ("database",)})
        a.store.close()
        b.eraser.resume(LATER)
        assert text_of(b.store) == [""]
        (event,) = b.store.read(types={"subject.erased"})
        assert event.id == erasure.id
        assert not is_clean(a.directory)
        if reached == "begun":
            assert is_clean(b.directory)
        b.eraser.resume(LATER)
        (left,) = b.store.keys.unfinished_erasures()
        assert list(getattr(left.stage, "left", ())) == ["a"]
        with start("a") as again:
            again.eraser.resume(LATER)
            assert (HER.encode() in everything(again.directory), text_of(again.store)) == (False, [""])
            if reached == "begun":
                assert is_clean(again.directory)
            assert again.store.keys.unfinished_erasures() == []
            assert len(again.store.read(types={"subject.erased"})) == 1


def test_a_node_that_was_down_is_named_and_learns_when_it_is_back_what_it_missed(start: Start) -> None:
    with start("b") as b:
        leave_traces(b.directory)
    with start("a") as a:
        tell(a.store, message(HER, "her wish", lid=HER_LID), message(HIM, "his wish"))
        assert a.eraser.erase(HER, NOW).awaited == ("b",)
        a.eraser.resume(LATER)
        assert not is_clean(b.directory)
        with start("b") as b:
            b.eraser.resume(LATER)
            assert is_clean(b.directory)
            assert not MediaFiles(Config(data_dir=b.directory)).any()
            assert b.store.keys.unfinished_erasures() == []


def test_what_a_machine_was_to_clean_under_a_former_name_it_cleans_under_its_present_one(start: Start) -> None:
    with start("b") as b:
        leave_traces(b.directory)
    with start("a") as a:
        tell(a.store, message(HER, "her wish", lid=HER_LID), message(HIM, "his wish"))
        assert a.eraser.erase(HER, NOW).awaited == ("b",)
        with start("c", machine="b") as c:
            c.eraser.resume(LATER)
            assert is_clean(c.directory)
            assert c.store.keys.unfinished_erasures() == []
            assert set(c.store.company.machines()) == {"a", "c"}
            assert a.eraser.erase(HIM, LATER).awaited == ()


def test_a_manager_alone_waits_for_no_former_name_of_its_own(database: str, tmp_path: Path) -> None:
    config = Config(data_dir=tmp_path / "a", database=database)
    for name in ("first", "second"):
        with open_store(config.data_dir, database, Node(name=name)) as store:
            eraser = Eraser(store, config)
            eraser.resume(NOW)
            tell(store, message(HER, "her wish"))
            assert eraser.erase(HER, NOW).awaited == ()
            assert store.keys.unfinished_erasures() == []


def test_who_has_a_former_name_of_a_machine_by_now_is_waited_for(start: Start) -> None:
    with start("b"):
        pass
    with start("b", machine="another") as b:
        leave_traces(b.directory)
    with start("a") as a:
        tell(a.store, message(HER, "her wish"), message(HIM, "his wish"))
        assert a.eraser.erase(HER, NOW).awaited == ("b",)
        with start("c", machine="b") as c:
            c.eraser.resume(LATER)
            (left,) = a.store.keys.unfinished_erasures()
            assert list(getattr(left.stage, "left", ())) == ["b"]
    with start("b", machine="another") as b:
        b.eraser.resume(LATER)
        assert is_clean(b.directory)


def test_a_former_name_stays_on_record_while_something_may_still_be_left_to_it(start: Start) -> None:
    with start("b") as b:
        leave_traces(b.directory)
    with start("a") as a:
        tell(a.store, message(HER, "her wish", lid=HER_LID), message(HIM, "his wish"))
        a.store.keys.heed(lambda: None)
        people, hers = Subjects(a.store), [canonical(HER)]
        erasure = people.begin(hers, NOW)
        with start("c", machine="b") as c:
            c.store.keys.heed(lambda: None)
            with suppress(ErasureUnfinished):
                c.eraser.resume(LATER)
            # by somebody who looked before there was a node c
            people.destroy(erasure, hers, NOW, left={"a": None, "b": None})
            assert "b" in a.store.company.machines()
            c.eraser.resume(LATER)
            assert b"Dolores" not in everything(c.directory)
            assert "b" not in a.store.company.machines()


def test_a_node_that_was_down_goes_by_what_its_own_sessions_know_until_all_there_is_clean(start: Start) -> None:
    with start("b") as b:
        session(b.directory, (HER, HER_LID, "Dolores"))
        parked = b.directory / "parked"
        (parked / "2.json").mkdir(parents=True)  # reading it fails
        (parked / "1.json").write_text(f"her wish, {HER_LID}")
    with start("a") as a:
        tell(a.store, message(HER, "her wish"))
        assert a.eraser.erase(HER, NOW).awaited == ("b",)
        with start("b") as b:
            with pytest.raises(ErasureUnfinished, match=r"parked/2\.json|Is a directory"):
                b.eraser.resume(LATER)
            assert HER_LID.encode() not in everything(b.directory)
            (parked / "2.json").rmdir()
            (parked / "2.json").write_text(f"her next wish, {HER_LID}")
            b.eraser.resume(LATER)
            assert not (parked / "2.json").exists()
            assert b.store.keys.unfinished_erasures() == []


def test_who_has_a_number_or_lid_that_changed_hands_is_not_forgotten_with_who_had_it(start: Start) -> None:
    with start("a") as a, start("b") as b:
        tell(a.store, message(HER, "her wish"), message(HIM, "his wish"))
        session(a.directory, (HER, HER_LID, "Dolores"))
        session(b.directory, (HIM, HER_LID, "Jose"))
        assert a.eraser.erase(HER, NOW).subjects == 1
        assert text_of(a.store) == ["", "his wish"]


def test_a_node_that_was_down_leaves_alone_what_a_new_life_of_theirs_has_on_its_way(start: Start) -> None:
    with start("b") as b:
        leave_traces(b.directory)
    with start("a") as a:
        tell(a.store, message(HER, "her wish"))
        assert a.eraser.erase(HER, NOW).awaited == ("b",)
        on_its_way = packed(spooled())
        a.vault.put("spool", "shop/new", on_its_way)
        with start("b") as b:
            b.eraser.resume(LATER)
            assert is_clean(b.directory)
            assert b.vault.all("spool") == {"shop/new": on_its_way}


def test_a_spool_that_another_node_cannot_change_keeps_the_keys_and_the_refusal_says_so(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(erasing, "OTHERS_PATIENCE_S", 0.0)
    with start("a") as a, start("b") as b:
        tell(a.store, message(HER, "her wish"))
        obstacle = b.directory / "spool" / "h.spool"
        obstacle.mkdir(parents=True)
        with pytest.raises(ErasureUnfinished, match="not destroyed yet: the node b has not done its part"):
            a.eraser.erase(HER, NOW)
        assert text_of(a.store) == ["her wish"]
        obstacle.rmdir()

        def is_erased() -> bool:
            with suppress(ErasureUnfinished):
                b.eraser.resume(LATER)
            return not a.store.keys.unfinished_erasures()

        wait_until(is_erased)
        assert text_of(a.store) == [""]


def test_what_was_begun_is_finished_by_nodes_that_all_began_anew_since(start: Start) -> None:
    with start("a") as a:
        tell(a.store, message(HER, "her wish"))
        Subjects(a.store).begin([canonical(HER)], NOW)
    with start("a") as a, start("b") as b:
        with capture_logs() as logged:
            a.eraser.resume(LATER)
        assert [(line["action"], line["behind"]) for line in logged if "behind" in line] == [("erasure_stuck", ("b",))]
        assert text_of(a.store) == ["her wish"]
        b.eraser.resume(LATER)
        assert text_of(a.store) == [""]


def test_what_refuses_on_another_machine_keeps_no_keys_and_is_named(start: Start) -> None:
    with start("a") as a, start("b") as b:
        tell(a.store, message(HER, "her wish"))
        obstacle = b.directory / "parked" / "1.json"
        obstacle.mkdir(parents=True)
        with pytest.raises(ErasureUnfinished, match=r"are destroyed, but parked/1.json of b refused"):
            a.eraser.erase(HER, NOW)
        assert text_of(a.store) == [""]
        obstacle.rmdir()
        obstacle.write_text(f"her wish, {HER}")
        b.eraser.resume(LATER)
        assert not obstacle.exists()
        assert a.store.keys.unfinished_erasures() == []


def test_nobody_waits_for_a_machine_that_was_not_seen_for_a_month(start: Start, database: str) -> None:
    with start("b"):
        pass
    with start("a") as a:
        tell(a.store, message(HER, "her wish"))
        assert a.eraser.erase(HER, NOW).awaited == ("b",)
        with psycopg.connect(database, autocommit=True) as direct:
            direct.execute("DELETE FROM chatbot_erp.nodes WHERE name = 'b'")
        a.eraser.resume(LATER)
        assert a.store.keys.unfinished_erasures() == []


def test_what_an_earlier_manager_left_to_whoever_comes_is_cleaned_on_every_machine(start: Start) -> None:
    with start("b") as b:
        leave_traces(b.directory)
    with start("a") as a:
        leave_traces(a.directory)
        people, hers = Subjects(a.store), [canonical(HER), f"{HER_LID}@lid"]
        people.destroy(people.begin([canonical(HER)], NOW), hers, NOW, left={"": ("parked/1.json", "sessions/shop.db")})
        with pytest.raises(ErasureUnfinished, match=r"sessions/shop\.db of b"):
            a.eraser.resume(LATER)
        assert b"Dolores" not in everything(a.directory)
        (left,) = a.store.keys.unfinished_erasures()
        assert getattr(left.stage, "left", None) == {"b": ("parked/1.json", "sessions/shop.db")}
        with start("b") as b:
            b.eraser.resume(LATER)
            assert b"Dolores" not in everything(b.directory)
            assert b.store.keys.unfinished_erasures() == []


@pytest.mark.parametrize("reached", ["refused", "cut off"])
def test_what_was_left_before_an_installation_moved_into_a_database_is_cleaned_by_the_nodes(
    start: Start, database: str, tmp_path: Path, reached: str
) -> None:
    directory = tmp_path / "a"
    obstacle = directory / "parked" / "1.json"
    with EventStore.open(directory) as alone:
        tell(alone, message(HER, "her wish"), message(HIM, "his wish"))
        if reached == "refused":
            obstacle.mkdir(parents=True)  # reading it fails
            with pytest.raises(ErasureUnfinished, match=r"are destroyed, but"):
                Eraser(alone, Config(data_dir=directory)).erase(HER, NOW)
            obstacle.rmdir()
        else:
            people, hers = Subjects(alone), [canonical(HER)]
            people.destroy(people.begin(hers, NOW), hers, NOW, left={alone.company.machine: None})
    leave_traces(directory)
    move(directory, database)
    with start("a") as a:
        a.eraser.resume(LATER)
        assert not obstacle.exists()
        if reached == "cut off":
            assert numbers_spooled(directory) == [1]
            assert b"Dolores" not in everything(directory / "sessions")
        assert a.store.keys.unfinished_erasures() == []


def test_what_refuses_a_visitor_is_no_business_of_the_nodes(start: Start, database: str, tmp_path: Path) -> None:
    (tmp_path / "copy" / "parked" / "1.json").mkdir(parents=True)  # reading it fails
    with start("a") as a:
        (a.directory / "parked").mkdir()
        with pytest.raises(click.ClickException, match=r"The keys are destroyed, but"):
            forget(tmp_path / "copy", database, HER, Nobody(), as_json=False)
        written = a.directory / "parked" / "1.json"
        written.write_text(f"her new wish, {HER}")
        a.eraser.resume(datetime.now(UTC))
        assert written.exists()
        a.eraser.resume(datetime.now(UTC) + timedelta(hours=2))
        assert written.exists()
        assert a.store.keys.unfinished_erasures() == []


def test_the_command_cleans_the_directory_of_a_node_that_is_down_in_its_stead(start: Start, database: str) -> None:
    with start("b"):
        pass
    with start("a", machine="b") as a:
        tell(a.store, message(HER, "her wish", lid=HER_LID), message(HIM, "his wish"))
        leave_traces(a.directory)
        obstacle = a.directory / "parked" / "3.json"
        obstacle.mkdir()  # reading it fails
    with pytest.raises(click.ClickException, match=r"The keys are destroyed, but"):
        forget(a.directory, database, HER, Nobody(), as_json=False)
    obstacle.rmdir()
    obstacle.write_text(f"her next wish, {HER}")
    with start("a", machine="b") as a:
        (left,) = a.store.keys.unfinished_erasures()
        assert getattr(left.stage, "left", None) == {"a": ("parked/3.json",)}
        a.eraser.resume(LATER)
        assert is_clean(a.directory)
        assert a.store.keys.unfinished_erasures() == []


def test_the_command_erases_beside_nodes_that_work_and_takes_nothing_from_them(
    start: Start, database: str, tmp_path: Path
) -> None:
    with start("a") as a:
        assert a.store.company.reserve("shop", "empresa_x")
        tell(a.store, message(HER, "her wish", lid=HER_LID), message(HIM, "his wish"))
        for directory in (a.directory, tmp_path / "copy"):
            leave_traces(directory)
        forget(tmp_path / "copy", database, HER, Nobody(), as_json=False)
        assert text_of(a.store) == ["", "his wish"]
        assert is_clean(a.directory)
        assert is_clean(tmp_path / "copy")
        tell(a.store, message(HIM, "his next wish"))
        assert a.store.company.has("shop")
        assert [node.name for node in a.store.company.nodes()] == ["a"]
    forget(tmp_path / "copy", database, HIM, Nobody(), as_json=False)
    with start("a") as a:
        a.eraser.resume(LATER)
        assert text_of(a.store) == ["", "", ""]
        assert HIM.encode() not in everything(a.directory)
        assert a.store.company.has("shop")
