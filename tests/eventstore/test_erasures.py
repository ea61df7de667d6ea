"""What the row of an erasure says."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from chatbot_erp.eventstore.erasures import Begun, Destroyed, Erasure, Expired, Places, Stage
from chatbot_erp.eventstore.store import EventStore
from chatbot_erp.eventstore.subjects import Subjects


@pytest.mark.parametrize(
    ("stage", "expected"),
    [
        (Begun(addresses=("5511987654321",)), True),
        (Begun(addresses=("5511987654321",), ready={"1/b": False}), True),
        (Begun(addresses=("5511987654321",), ready={"2/a": False}), False),
        (Destroyed(subjects=(), left={"a": None}), True),
        (Destroyed(subjects=(), left={"a": ("parked/1.json", "spool")}), True),
        (Destroyed(subjects=(), left={"a": ("parked/1.json",), "b": None}), False),
        (Destroyed(subjects=(), left={"": None}), True),
        (Destroyed(subjects=(), left={"": ("database",), "b": None}), False),
        (Expired(before="2026-11-24"), False),
    ],
)
def test_spools_are_kept_until_they_hold_nothing_of_who_is_forgotten(stage: Stage, expected: bool) -> None:
    erasure = Erasure(id="e", at=datetime(2026, 11, 24, tzinfo=UTC), stage=stage)
    assert erasure.keeps_spools_of("a", "2/a") is expected


@pytest.mark.parametrize(
    ("former", "own", "expected"),
    [
        (None, (), {"now": None}),
        (("parked/1.json", "spool"), ("spool", "hosts/h.log"), {"now": ("spool", "hosts/h.log", "parked/1.json")}),
        (("spool",), None, {"now": None}),
        (None, ("spool",), {"now": None}),
        ((), ("spool",), {"now": ("spool",)}),
    ],
)
def test_what_is_left_to_a_former_name_is_left_to_the_present_one_beside_what_that_has(
    tmp_path: Path, former: Places, own: Places, expected: dict[str, Places]
) -> None:
    at = datetime(2026, 11, 24, tzinfo=UTC)
    left = {name: places for name, places in (("former", former), ("now", own)) if places != ()}
    with EventStore.open(tmp_path) as store:
        people = Subjects(store)
        erasure = people.destroy(people.begin(["5511987654321"], at), [], at, left={**left, "other": None})
        after = people.inherit(erasure, ["former", "unheard of"], "now")
        assert after == people.again(erasure)
    assert isinstance(after.stage, Destroyed)
    assert after.stage.left == {**expected, "other": None}
