"""What the row of an erasure says."""

from datetime import UTC, datetime

import pytest

from chatbot_erp.eventstore.erasures import Begun, Destroyed, Erasure, Expired, Stage


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
