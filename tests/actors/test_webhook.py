"""What a receiver is told, how it is signed, and when it is told again."""

import base64
import json
from datetime import UTC, datetime, timedelta, timezone
from email.utils import format_datetime
from itertools import pairwise
from typing import Any
from unittest.mock import ANY

import msgspec
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
from chatbot_erp.actors.webhook_shapes import body
from chatbot_erp.eventstore.events import (
    DELIVERED,
    EVENT_NAMES,
    Ack,
    CallReceived,
    Event,
    GroupJoined,
    GroupUpdated,
    InstanceConnected,
    InstanceDegraded,
    InstanceDisconnected,
    InstanceInvalidated,
    InstanceRecovered,
    InstanceRestarted,
    MessageAcknowledged,
    MessageEdited,
    MessageFailed,
    MessageOutcomeUnknown,
    MessageReceived,
    MessageRevoked,
    MessageSent,
    MessageUndecryptable,
    PairingOffered,
    PingSent,
    PresenceChanged,
    Status,
)
from chatbot_erp.eventstore.records import Recorded

AT = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
SENT_AT = datetime(2026, 1, 2, 0, 4, 5, tzinfo=timezone(timedelta(hours=-3)))
SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
OLD_SECRET = "whsec_" + base64.b64encode(bytes(range(32, 64))).decode()
HOUR = 3600.0

RECEIVED = MessageReceived(
    message_id="3EB0",
    jid="5511999998888@s.whatsapp.net",
    jid_alt="123@lid",
    participant=None,
    push_name="Zé \u200f\U0001f600",
    kind="text",
    text='Olá "mundo"\n\x00',
    sent_at=SENT_AT,
    raw=msgspec.Raw(b'{"conversation":"Ol\\u00e1",  "n": 1e2}'),
)

FROM: Any = {"message_id": "3EB0", "jid": "9@g.us", "jid_alt": None, "participant": "7@lid", "push_name": "Zé"}
EDITED = MessageEdited(
    **FROM,
    edit_id="3EB2",
    kind="text",
    text="melhor",
    content=msgspec.Raw(b'{"forwarded":true}'),
    edited_at=SENT_AT,
    raw=msgspec.Raw(b"{}"),
)
CALLED = CallReceived(call_id="C1", jid="7@lid", jid_alt="1@s.whatsapp.net", group=None, video=True, called_at=SENT_AT)

EVENTS: tuple[Event, ...] = (
    RECEIVED,
    MessageSent(command_id="c", message_id="3EB1", jid="1@s.whatsapp.net", kind="text", text="oi", sent_at=SENT_AT),
    MessageAcknowledged(message_id="3EB1", jid="1@s.whatsapp.net", participant=None, ack=Ack.READ),
    EDITED,
    MessageRevoked(**FROM, revoked_at=SENT_AT),
    MessageUndecryptable(**FROM, unavailable=True, sent_at=None),
    CALLED,
    InstanceRestarted(previous=Status.CONNECTED, generation=2, cause="host_died"),
    PairingOffered(previous=Status.INITIALIZING, method="qr"),
    InstanceConnected(previous=Status.INITIALIZING, jid="1@s.whatsapp.net", lid=None, push_name="x"),
    InstanceDegraded(previous=Status.CONNECTED, message_id="3EB1", ack=Ack.SENT),
    InstanceRecovered(previous=Status.DEGRADED, message_id="3EB1", ack=Ack.DELIVERED),
    InstanceDisconnected(previous=Status.CONNECTED, reason="logged_out"),
    InstanceInvalidated(previous=Status.CONNECTED, reason="banned"),
    GroupJoined(jid="9@g.us", subject="Pedidos", description="", participants=("1@s.whatsapp.net",), reason="invite"),
    GroupUpdated(
        jid="9@g.us",
        by="7@lid",
        changed_at=SENT_AT,
        subject="Entregas",
        description=None,
        announce=False,
        locked=None,
        ephemeral_s=0,
        joined=("8@lid",),
        left=(),
        promoted=(),
        demoted=(),
        invite_reset=True,
        deleted=False,
    ),
    PresenceChanged(jid="7@lid", jid_alt="1@s.whatsapp.net", state="unavailable", last_seen=SENT_AT),
    MessageFailed(command_id="c", reason="not_on_whatsapp", detail="(number) is not on WhatsApp."),
    MessageOutcomeUnknown(command_id="c", reason="host_died"),
)


def recorded(event: Event) -> Recorded:
    return Recorded(
        position=90,
        stream="i",
        version=7,
        id="0190c0de",
        type=EVENT_NAMES[type(event)],
        event=event,
        recorded_at=AT,
        hash="",
        sequence=42,
        data=msgspec.Raw(b"{}"),
    )


def told(event: Event) -> Any:
    return json.loads(body(recorded(event), "i", "empresa_x"))


# the payload


def test_a_received_message_is_told_as_the_contract_says() -> None:
    assert told(RECEIVED) == {
        "event": "message.received",
        "id": "0190c0de",
        "timestamp": "2026-01-02T03:04:05Z",
        "sequence": 42,
        "position": 90,
        "instance": {"id": "i", "name": "empresa_x"},
        "whatsapp": {
            "jid": "5511999998888@s.whatsapp.net",
            "jidAlt": "123@lid",
            "messageId": "3EB0",
            "pushName": "Zé \u200f\U0001f600",
        },
        "message": {"type": "text", "text": 'Olá "mundo"\n\x00', "raw": {"conversation": "Olá", "n": 100.0}},
    }


def test_a_message_of_a_group_names_who_wrote_it() -> None:
    event = msgspec.structs.replace(RECEIVED, jid="9@g.us", participant="7@s.whatsapp.net")
    assert told(event)["whatsapp"]["participant"] == "7@s.whatsapp.net"


def test_the_raw_message_is_passed_on_byte_by_byte() -> None:
    assert bytes(RECEIVED.raw) in body(recorded(RECEIVED), "i", "n")


def test_a_sent_message_is_told_as_the_contract_says() -> None:
    payload = told(EVENTS[1])
    assert (payload["event"], payload["timestamp"]) == ("message.sent", "2026-01-02T03:04:05Z")
    assert payload["whatsapp"] == {"jid": "1@s.whatsapp.net", "messageId": "3EB1"}
    assert payload["message"] == {"type": "text", "text": "oi"}


@pytest.mark.parametrize(("ack", "name"), [(0, "error"), (1, "sent"), (2, "delivered"), (3, "read"), (4, "played")])
def test_an_acknowledgement_is_told_with_number_and_name(ack: int, name: str) -> None:
    payload = told(MessageAcknowledged(message_id="m", jid="j", participant=None, ack=Ack(ack)))
    assert payload == {
        "event": "message.ack",
        "id": ANY,
        "timestamp": "2026-01-02T03:04:05.678901Z",
        "sequence": 42,
        "position": 90,
        "instance": {"id": "i", "name": "empresa_x"},
        "whatsapp": {"jid": "j", "messageId": "m"},
        "ack": {"status": ack, "name": name},
    }


@pytest.mark.parametrize(
    ("event", "status", "previous", "reason"),
    [
        (EVENTS[7], "INITIALIZING", "CONNECTED", "host_died"),
        (EVENTS[8], "SCAN_QR_CODE", "INITIALIZING", None),
        (EVENTS[9], "CONNECTED", "INITIALIZING", None),
        (EVENTS[10], "DEGRADED", "CONNECTED", "partial_ack"),
        (EVENTS[11], "CONNECTED", "DEGRADED", None),
        (EVENTS[12], "DISCONNECTED", "CONNECTED", "logged_out"),
        (EVENTS[13], "INVALID", "CONNECTED", "banned"),
    ],
)
def test_a_change_of_status_is_told_with_what_it_was_before_and_why(
    event: Event, status: str, previous: str, reason: str | None
) -> None:
    payload = told(event)
    assert payload["event"] == "instance.status"
    assert payload["instance"] == {"id": "i", "name": "empresa_x", "status": status, "previous": previous}
    assert payload["reason"] == reason


def test_a_change_of_a_group_names_what_is_different_and_nothing_else() -> None:
    payload = told(next(event for event in EVENTS if isinstance(event, GroupUpdated)))
    assert (payload["event"], payload["timestamp"]) == ("group.updated", "2026-01-02T03:04:05Z")
    assert payload["group"] == {
        "jid": "9@g.us",
        "by": "7@lid",
        "subject": "Entregas",
        "announce": False,
        "ephemeral": 0,
        "joined": ["8@lid"],
        "left": [],
        "promoted": [],
        "demoted": [],
        "inviteReset": True,
        "deleted": False,
    }


def test_every_event_that_is_delivered_has_a_payload() -> None:
    assert {type(event) for event in EVENTS} == DELIVERED
    assert {told(event)["event"] for event in EVENTS} == {
        "group.joined",
        "group.updated",
        "message.received",
        "message.sent",
        "message.failed",
        "message.ack",
        "message.edited",
        "message.revoked",
        "message.undecryptable",
        "call.received",
        "presence.changed",
        "instance.status",
    }


def test_a_send_without_an_acknowledgement_is_told_with_its_command_and_the_problem_it_is() -> None:
    failed, unknown = told(EVENTS[-2]), told(EVENTS[-1])
    assert failed["event"] == unknown["event"] == "message.failed"
    assert failed["failure"] == {
        "commandId": "c",
        "outcome": "failed",
        "type": "/problems/not-on-whatsapp",
        "detail": "(number) is not on WhatsApp.",
    }
    assert (unknown["failure"]["outcome"], unknown["failure"]["type"]) == ("unknown", "/problems/outcome-unknown")
    assert told(EVENTS[1])["commandId"] == "c"


def test_who_is_watched_is_told_with_when_they_were_seen() -> None:
    payload = told(EVENTS[-3])
    assert payload["presence"] == {
        "jid": "7@lid",
        "jidAlt": "1@s.whatsapp.net",
        "state": "unavailable",
        "lastSeen": "2026-01-02T03:04:05Z",
    }


def test_an_edit_is_told_with_the_old_messages_id_and_the_new_words() -> None:
    payload = told(EDITED)
    assert (payload["event"], payload["timestamp"]) == ("message.edited", "2026-01-02T03:04:05Z")
    assert payload["whatsapp"]["messageId"] == "3EB0"
    assert payload["message"] == {"type": "text", "text": "melhor", "forwarded": True, "raw": {}}


def test_a_message_taken_back_and_one_that_cannot_be_read_are_told_by_whom() -> None:
    whatsapp = {"jid": "9@g.us", "jidAlt": None, "messageId": "3EB0", "pushName": "Zé", "participant": "7@lid"}
    revoked, sealed = told(MessageRevoked(**FROM, revoked_at=SENT_AT)), told(EVENTS[5])
    assert (revoked["event"], revoked["whatsapp"]) == ("message.revoked", whatsapp)
    assert (sealed["event"], sealed["whatsapp"], sealed["unavailable"]) == ("message.undecryptable", whatsapp, True)
    assert sealed["timestamp"] == "2026-01-02T03:04:05.678901Z"


def test_a_call_is_told_with_who_calls() -> None:
    payload = told(CALLED)
    assert (payload["event"], payload["timestamp"]) == ("call.received", "2026-01-02T03:04:05Z")
    assert payload["call"] == {"id": "C1", "jid": "7@lid", "jidAlt": "1@s.whatsapp.net", "group": None, "video": True}


def test_an_event_that_nobody_is_told_of_has_none() -> None:
    with pytest.raises(TypeError, match=r"ping\.sent"):
        body(recorded(PingSent(message_id="m")), "i", "n")


@given(text=st.text(), name=st.text(), number=st.integers(min_value=1, max_value=2**62))
def test_the_bytes_depend_on_the_record_alone(text: str, name: str, number: int) -> None:
    try:
        text.encode()
        name.encode()
    except UnicodeEncodeError:
        return
    event = msgspec.structs.replace(RECEIVED, text=text, push_name=name, raw=msgspec.Raw(json.dumps(text).encode()))
    record = msgspec.structs.replace(recorded(event), position=number)
    again = msgspec.structs.replace(record, event=msgspec.structs.replace(event))
    first = body(record, "i", "n")
    assert first == body(again, "i", "n")
    assert json.loads(first)["message"] == {"type": "text", "text": text, "raw": text}


# the signature


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


# the schedule


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


def test_the_fields_of_a_type_stand_beside_its_type_and_text() -> None:
    content = msgspec.Raw(b'{"mimeType":"image/jpeg","size":3}')
    sent = MessageSent(
        command_id="c",
        message_id="3EB1",
        jid="1@s.whatsapp.net",
        kind="image",
        text="oi",
        sent_at=SENT_AT,
        content=content,
    )
    assert told(sent)["message"] == {"type": "image", "text": "oi", "mimeType": "image/jpeg", "size": 3}


@pytest.mark.parametrize(
    "echo", ['{"authorization":"Bearer s3cr\\"et"}', 'Bearer s3cr"et', "you said Bearer s3cr", 's3cr"et is bad']
)
def test_an_answer_is_kept_without_the_values_of_the_owners_headers(echo: str) -> None:
    own = {"X-Short": "you", "X-Part": "Bearer", "Authorization": 'Bearer s3cr"et'}
    kept = webhook.without_own(Answer(status=500, retry_after=None, text=echo, address="", duration_ms=1), own)
    assert isinstance(kept, Answer)
    assert "s3cr" not in kept.text
    assert ("you" in kept.text) == ("you" in echo)
