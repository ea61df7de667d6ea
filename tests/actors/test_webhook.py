"""How what a receiver is told is signed, and when it is told again."""

import base64
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from itertools import pairwise
from typing import Any
from unittest.mock import ANY

import pytest
import standardwebhooks
import svix.webhooks
from hypothesis import given
from hypothesis import strategies as st

from chatbot_erp.actors import webhook
from chatbot_erp.actors.webhook import (
    Abandon,
    Answer,
    Delivered,
    Disable,
    NoAnswer,
    Patience,
    RetryAt,
    delay_s,
    headers,
    next_step,
    signing_key,
)

AT = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
OLD_SECRET = "whsec_" + base64.b64encode(bytes(range(32, 64))).decode()
HOUR = 3600.0


def signed(content: bytes, *secrets: str) -> dict[str, str]:
    keys = [signing_key(secret) for secret in secrets]
    return headers(content, event_id="0190c0de", at=datetime.now(UTC), keys=keys, instance="i", name="empresa_x")


def test_the_headers_are_those_of_the_contract() -> None:
    sent = headers(b"{}", event_id="e", at=AT, keys=[signing_key(SECRET)], instance="i", name="empresa_x")
    assert sent == {
        "Content-Type": "application/json",
        "User-Agent": webhook.USER_AGENT,
        "webhook-id": "e",
        "webhook-timestamp": "1767323045",
        "webhook-signature": ANY,
        "X-Instance-Id": "i",
        "X-Instance-Name": "empresa_x",
    }
    assert webhook.USER_AGENT.startswith("chatbot-erp/")


@given(content=st.text(st.characters(codec="utf-8")))
def test_receivers_verify_the_signature_with_libraries_that_are_not_ours(content: str) -> None:
    sent = signed(content.encode(), SECRET)
    standardwebhooks.Webhook(SECRET).verify(content.encode(), sent, json_parse=False)
    svix.webhooks.Webhook(SECRET).verify(content.encode(), sent)
    with pytest.raises(standardwebhooks.WebhookVerificationError):
        standardwebhooks.Webhook(SECRET).verify(content.encode() + b" ", sent, json_parse=False)


def test_during_a_rotation_both_the_new_and_the_old_secret_verify_and_no_third_one() -> None:
    sent = signed(b"{}", SECRET, OLD_SECRET)
    for secret in (SECRET, OLD_SECRET):
        standardwebhooks.Webhook(secret).verify(b"{}", sent)
        svix.webhooks.Webhook(secret).verify(b"{}", sent)
    with pytest.raises(standardwebhooks.WebhookVerificationError):
        standardwebhooks.Webhook("whsec_" + base64.b64encode(b"x" * 32).decode()).verify(b"{}", sent)


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_!!!", "whsec_c2hvcnQ=", SECRET.removeprefix("whsec_"), "é"])
def test_a_malformed_secret_is_refused_without_being_repeated(secret: str) -> None:
    with pytest.raises(ValueError, match="A webhook secret is") as caught:
        signing_key(secret)
    assert len(secret) < 9 or secret not in str(caught.value)


def answer(status: int, retry_after: str | None = None) -> Answer:
    return Answer(status=status, retry_after=retry_after, text="", address="", duration_ms=0)


SILENCE = NoAnswer(error="timeout", detail="", address="", duration_ms=0)


def step(
    outcome: webhook.Outcome,
    *,
    elapsed_s: float = 0.0,
    failing_s: float | None = None,
    draw: float = 0.0,
    retry_for_s: float = 76 * HOUR,
    reject_after_s: float = 600.0,
) -> Any:
    """What follows `elapsed_s` after the event's first attempt, at a receiver that has been failing for `failing_s`."""
    now = AT + timedelta(seconds=elapsed_s)
    return next_step(
        outcome,
        first_attempt_at=AT,
        failing_since=AT if failing_s is None else now - timedelta(seconds=failing_s),
        now=now,
        draw=draw,
        patience=Patience(retry_for_s=retry_for_s, reject_after_s=reject_after_s),
    )


def wait_after(outcome: webhook.Outcome, *, elapsed_s: float = 0.0) -> float:
    seconds: float = (step(outcome, elapsed_s=elapsed_s).due - AT).total_seconds() - elapsed_s
    return seconds


@pytest.mark.parametrize("status", [200, 201, 204, 299])
def test_any_2xx_is_success(status: int) -> None:
    assert step(answer(status), elapsed_s=1e9) == Delivered(http_status=status)


@pytest.mark.parametrize("status", [101, 199, 300, 301, 302, 304, 400, 401, 404, 422, 429, 500, 502, 503, 504, 999])
def test_anything_else_is_retried(status: int) -> None:
    assert step(answer(status)) == RetryAt(due=AT + timedelta(seconds=1), error=f"http_{status}", asked=False)


def test_no_answer_is_retried() -> None:
    assert step(SILENCE) == RetryAt(due=AT + timedelta(seconds=1), error="timeout", asked=False)


def test_gone_disables() -> None:
    assert step(answer(410)) == Disable(reason="gone", error="http_410")


def test_five_days_of_nothing_but_failures_disable_and_abandon_nothing() -> None:
    days = 86_400.0
    assert isinstance(step(SILENCE, failing_s=5 * days - 1), RetryAt)
    assert step(SILENCE, failing_s=5 * days) == Disable(reason="failing", error="timeout")
    assert step(SILENCE, elapsed_s=77 * HOUR, failing_s=5 * days) == Disable(reason="failing", error="timeout")
    assert step(answer(200), failing_s=6 * days) == Delivered(http_status=200)


@pytest.mark.parametrize("status", [400, 402, 406, 411, 413, 414, 415, 418, 422, 431, 451])
def test_an_event_that_the_receiver_rejects_holds_the_others_up_for_ten_minutes_at_most(status: int) -> None:
    assert isinstance(step(answer(status), elapsed_s=599), RetryAt)
    assert step(answer(status), elapsed_s=599).due == AT + timedelta(seconds=600)
    assert step(answer(status), elapsed_s=600) == Abandon(error=f"http_{status}")
    assert step(answer(status), elapsed_s=10, reject_after_s=5) == Abandon(error=f"http_{status}")


@pytest.mark.parametrize("status", [302, 401, 403, 404, 405, 407, 408, 409, 425, 429, 500, 503])
def test_what_is_not_the_events_fault_is_retried_for_as_long_as_allowed(status: int) -> None:
    assert isinstance(step(answer(status), elapsed_s=75 * HOUR), RetryAt)


def test_a_fresh_event_waits_as_long_as_the_receiver_has_been_down() -> None:
    assert step(SILENCE, failing_s=10 * HOUR).due - AT > timedelta(hours=5)


def test_without_jitter_the_schedule_is_exact_and_ends_with_an_attempt_at_the_very_end() -> None:
    times = [0.0]
    while isinstance(after := step(SILENCE, elapsed_s=times[-1]), RetryAt):
        times.append((after.due - AT).total_seconds())
    gaps = [later - earlier for earlier, later in pairwise(times)]
    assert gaps[:7] == [1, 2, 5, 10, 30, 60, 120]
    standard = [300, 30 * 60, 2 * HOUR, 5 * HOUR, 10 * HOUR, 14 * HOUR, 20 * HOUR, 24 * HOUR]
    assert gaps[7:-1] == standard
    assert times[-1] == 76 * HOUR
    assert after == Abandon(error="timeout")


@given(elapsed=st.floats(0, 80 * HOUR), draw=st.floats(0, 1, exclude_max=True))
def test_a_retry_is_never_sooner_than_its_gap_nor_more_than_a_fifth_later(elapsed: float, draw: float) -> None:
    plain, late = delay_s(elapsed, 0.0), delay_s(elapsed, draw)
    assert 1 <= plain <= late <= plain * 1.2


@given(draws=st.lists(st.floats(0, 1, exclude_max=True), min_size=40, max_size=40), hours=st.floats(0, 119))
def test_whatever_the_jitter_an_event_is_given_up_after_some_twenty_attempts_and_not_before_its_time(
    draws: list[float], hours: float
) -> None:
    elapsed, attempts = 0.0, 1
    while isinstance(
        after := step(SILENCE, elapsed_s=elapsed, draw=draws[attempts % 40], retry_for_s=hours * HOUR), RetryAt
    ):
        due = (after.due - AT).total_seconds()
        assert elapsed < due <= hours * HOUR + 1e-5
        elapsed, attempts = due, attempts + 1
    assert attempts <= 24
    assert elapsed >= hours * HOUR - 1e-5


def test_attempts_out_of_turn_do_not_use_the_schedule_up() -> None:
    assert wait_after(SILENCE, elapsed_s=3000) == wait_after(SILENCE, elapsed_s=2999) - 1


def test_a_clock_that_was_set_back_by_a_day_does_not_hold_the_retry_back_for_a_day() -> None:
    assert wait_after(SILENCE, elapsed_s=-86_400) == 1


@pytest.mark.parametrize("status", [429, 503, 500, 302])
def test_retry_after_is_honoured(status: int) -> None:
    assert step(answer(status, "120")) == RetryAt(due=AT + timedelta(seconds=120), error=f"http_{status}", asked=True)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        (" 7 ", 7),
        ("0", 1),
        ("86400", 86_400),
        ("86401", 86_400),
        ("9" * 400, 86_400),
        (format_datetime(AT.replace(microsecond=0) + timedelta(seconds=90), usegmt=True), pytest.approx(90, abs=1)),
        ("Fri, 02 Jan 2026 03:05:05 -0000", pytest.approx(60, abs=1)),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 1),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 86_400),
    ],
)
def test_retry_after_is_read_as_seconds_or_date_and_kept_within_a_second_and_a_day(text: str, seconds: float) -> None:
    assert wait_after(answer(429, text)) == seconds


@pytest.mark.parametrize(
    "text", [None, "", "soon", "-5", "1.5", "²", "Fri, 99 Foo 2026", "٣", f"1 Jan {10**30} 00:00 GMT"]
)
def test_a_retry_after_that_says_nothing_leaves_the_schedule(text: str | None) -> None:
    assert step(answer(503, text)) == RetryAt(due=AT + timedelta(seconds=1), error="http_503", asked=False)


@given(text=st.text(max_size=60))
def test_no_retry_after_breaks_the_schedule(text: str) -> None:
    assert 1 <= wait_after(answer(503, text)) <= 86_400


def test_not_even_retry_after_prolongs_the_time_that_is_allowed() -> None:
    assert step(answer(429, "3600"), retry_for_s=600).due == AT + timedelta(seconds=600)
    assert step(answer(429, "3600"), elapsed_s=600, retry_for_s=600) == Abandon(error="http_429")


@pytest.mark.parametrize(
    "echo", ['{"authorization":"Bearer s3cr\\"et"}', 'Bearer s3cr"et', "you said Bearer s3cr", 's3cr"et is bad']
)
def test_an_answer_is_kept_without_the_values_of_the_owners_headers(echo: str) -> None:
    own = {"X-Short": "you", "X-Part": "Bearer", "Authorization": 'Bearer s3cr"et'}
    kept = webhook.without_own(Answer(status=500, retry_after=None, text=echo, address="", duration_ms=1), own)
    assert isinstance(kept, Answer)
    assert "s3cr" not in kept.text
    assert ("you" in kept.text) == ("you" in echo)
