"""What a receiver is told of each event."""

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from unittest.mock import ANY

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

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
