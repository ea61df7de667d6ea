"""What became of a message, read off its events."""

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from chatbot_erp.actors.fates import Fate, Fates, story
from chatbot_erp.eventstore.events import (
    EVENT_NAMES,
    Ack,
    Event,
    MessageAccepted,
    MessageAcknowledged,
    MessageFailed,
    MessageOutcomeUnknown,
    MessageReceived,
    MessageRevoked,
    MessageSent,
    MessageUndecryptable,
)
from chatbot_erp.eventstore.store import Recorded

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)

ACCEPTED = MessageAccepted(command_id="c1", number="551", kind="text", text="Olá")
SENT = MessageSent(command_id="c1", message_id="m1", jid="551@s.whatsapp.net", kind="text", text="Olá", sent_at=NOW)


def ack(ack: Ack) -> MessageAcknowledged:
    return MessageAcknowledged(message_id="m1", jid="551@s.whatsapp.net", participant=None, ack=ack)


def recorded(*events: Event) -> list[Recorded]:
    return [
        Recorded(
            position=number,
            stream="i",
            version=number,
            id=str(number),
            type=EVENT_NAMES[type(event)],
            event=event,
            recorded_at=NOW,
            hash="",
            sequence=None,
            data=msgspec.Raw(b"{}"),
        )
        for number, event in enumerate(events, 1)
    ]


def folded(*events: Event) -> Fates:
    fates = Fates()
    for record in recorded(*events):
        fates.take(record)
    return fates


@pytest.mark.parametrize(
    ("events", "fate"),
    [
        ((ACCEPTED,), Fate.ACCEPTED),
        ((ACCEPTED, SENT), Fate.SENT),
        ((ACCEPTED, SENT, ack(Ack.DELIVERED)), Fate.DELIVERED),
        ((ACCEPTED, SENT, ack(Ack.DELIVERED), ack(Ack.READ)), Fate.READ),
        ((ACCEPTED, SENT, ack(Ack.READ), ack(Ack.DELIVERED)), Fate.READ),
        ((ACCEPTED, ack(Ack.DELIVERED), SENT), Fate.DELIVERED),
        ((ACCEPTED, SENT, ack(Ack.ERROR)), Fate.FAILED),
        ((ACCEPTED, MessageFailed(command_id="c1", reason="refused", detail="479")), Fate.FAILED),
        ((ACCEPTED, MessageOutcomeUnknown(command_id="c1", reason="host_died")), Fate.UNKNOWN),
        ((ACCEPTED, MessageOutcomeUnknown(command_id="c1", reason="host_died"), SENT), Fate.SENT),
    ],
)
def test_the_last_word_counts_unless_it_came_late(events: tuple[Event, ...], fate: Fate) -> None:
    (message,) = folded(*events).all()
    assert message.fate is fate


def test_a_refusal_is_one_step_with_its_reason_though_it_is_an_acknowledgement_as_well() -> None:
    failed = MessageFailed(command_id="c1", reason="refused", detail="479")
    error = MessageAcknowledged(message_id="c1", jid="551@s.whatsapp.net", participant=None, ack=Ack.ERROR)
    told = story(recorded(ACCEPTED, failed, error), "c1")
    assert told is not None
    assert [step.fate for step in told.steps] == [Fate.ACCEPTED, Fate.FAILED]
    assert (told.message.fate, told.message.ack, told.message.reason) == (Fate.FAILED, Ack.ERROR, "refused")
    assert told.message.message_id is None


def test_a_message_is_found_by_either_of_its_ids() -> None:
    fates = folded(ACCEPTED, SENT)
    assert fates.find("m1") == fates.find("c1") is not None
    assert fates.find("m2") is None


GROUP = "120363@g.us"
MARIA, JOANA = ("1@lid", "551@s.whatsapp.net"), ("2@lid", "552@s.whatsapp.net")


def who(person: tuple[str, str], group: str | None, *, by_number: bool = False) -> dict[str, Any]:
    """The addresses of somebody who says something, by LID or by number."""
    jid, alt = reversed(person) if by_number else person
    place = {"jid": jid, "participant": None} if group is None else {"jid": group, "participant": jid}
    return place | {"jid_alt": alt, "push_name": "", "message_id": "m1"}


def wrote(person: tuple[str, str], group: str | None = None, **how: bool) -> MessageReceived:
    return MessageReceived(**who(person, group, **how), kind="text", text="", sent_at=NOW, raw=msgspec.Raw(b"{}"))


def unread(person: tuple[str, str], group: str | None = None) -> MessageUndecryptable:
    return MessageUndecryptable(**who(person, group), unavailable=False, sent_at=NOW)


def revoked(person: tuple[str, str], group: str | None = None, *, admin: bool = False, **how: bool) -> MessageRevoked:
    return MessageRevoked(**who(person, group, **how), revoked_at=NOW, by_admin=admin)


def receipt(jid: str, participant: str | None = None, ack: Ack = Ack.READ) -> MessageAcknowledged:
    return MessageAcknowledged(message_id="m1", jid=jid, participant=participant, ack=ack)


def sent_to(jid: str) -> MessageSent:
    return MessageSent(command_id="c1", message_id="m1", jid=jid, kind="text", text="Olá", sent_at=NOW)


@pytest.mark.parametrize(
    ("events", "fate"),
    [
        ((wrote(MARIA), revoked(MARIA)), Fate.REVOKED),
        ((wrote(MARIA), revoked(MARIA, by_number=True)), Fate.REVOKED),
        ((wrote(MARIA), revoked(JOANA)), Fate.RECEIVED),
        ((wrote(MARIA), revoked(MARIA, GROUP)), Fate.RECEIVED),
        ((wrote(MARIA, GROUP), revoked(MARIA, GROUP, by_number=True)), Fate.REVOKED),
        ((wrote(MARIA, GROUP), revoked(JOANA, GROUP)), Fate.RECEIVED),
        ((wrote(MARIA, GROUP), revoked(JOANA, GROUP, admin=True)), Fate.REVOKED),
        ((wrote(MARIA, GROUP), revoked(JOANA, "120364@g.us", admin=True)), Fate.RECEIVED),
        ((wrote(MARIA), revoked(JOANA, admin=True)), Fate.RECEIVED),
        ((ACCEPTED, sent_to(MARIA[0]), revoked(MARIA)), Fate.SENT),
        ((ACCEPTED, sent_to(GROUP), revoked(JOANA, GROUP)), Fate.SENT),
        ((ACCEPTED, sent_to(GROUP), revoked(JOANA, GROUP, admin=True)), Fate.REVOKED),
        ((ACCEPTED, sent_to(GROUP), revoked(JOANA, GROUP, admin=True), receipt(GROUP, MARIA[0])), Fate.REVOKED),
        ((ACCEPTED, sent_to(MARIA[1]), receipt(MARIA[0])), Fate.READ),
        ((ACCEPTED, sent_to(MARIA[1]), receipt(JOANA[1])), Fate.SENT),
        ((ACCEPTED, sent_to(MARIA[1]), receipt("551@hosted")), Fate.READ),
        ((ACCEPTED, sent_to(MARIA[0]), receipt("1@hosted.lid")), Fate.READ),
        ((ACCEPTED, sent_to("5592991234567@s.whatsapp.net"), receipt("559291234567@s.whatsapp.net")), Fate.READ),
        ((wrote(MARIA), revoked(("1@hosted.lid", "551@hosted"))), Fate.REVOKED),
        ((wrote(("1@hosted.lid", "551@hosted"), GROUP), revoked(MARIA, GROUP)), Fate.REVOKED),
        ((ACCEPTED, sent_to(GROUP), receipt(GROUP, JOANA[0])), Fate.READ),
        ((ACCEPTED, sent_to(GROUP), receipt(JOANA[0])), Fate.SENT),
        ((ACCEPTED, receipt(JOANA[1]), sent_to(MARIA[1])), Fate.SENT),
        ((wrote(MARIA), receipt(JOANA[0])), Fate.RECEIVED),
        ((receipt(JOANA[0]), wrote(MARIA)), Fate.RECEIVED),
        ((ACCEPTED, sent_to(MARIA[0]), wrote(JOANA)), Fate.SENT),
        ((wrote(MARIA), unread(JOANA)), Fate.RECEIVED),
    ],
)
def test_only_who_has_a_say_in_a_message_changes_its_fate(events: tuple[Event, ...], fate: Fate) -> None:
    message = folded(*events).find("m1")
    assert message is not None
    assert message.fate is fate


@pytest.mark.parametrize(
    ("events", "fate"),
    [
        ((unread(MARIA), wrote(MARIA)), Fate.RECEIVED),
        ((wrote(MARIA), unread(MARIA)), Fate.RECEIVED),
        ((wrote(MARIA), revoked(MARIA), wrote(MARIA, by_number=True)), Fate.REVOKED),
        ((unread(MARIA), revoked(MARIA), wrote(MARIA)), Fate.REVOKED),
        ((revoked(MARIA), wrote(MARIA)), Fate.REVOKED),
        ((revoked(JOANA, GROUP, admin=True), wrote(MARIA, GROUP)), Fate.REVOKED),
    ],
)
def test_a_copy_that_comes_late_undoes_nothing(events: tuple[Event, ...], fate: Fate) -> None:
    (message,) = folded(*events).all()
    assert message.fate is fate


def test_two_who_use_one_id_have_a_message_each_and_the_first_is_found() -> None:
    fates = folded(wrote(MARIA), wrote(JOANA), revoked(JOANA))
    assert [(message.jid, message.fate) for message in fates.all()] == [
        (MARIA[0], Fate.RECEIVED),
        (JOANA[0], Fate.REVOKED),
    ]
    assert fates.find("m1") == fates.all()[0]


@pytest.mark.parametrize(
    ("events", "steps"),
    [
        ((ACCEPTED, sent_to(GROUP), wrote(JOANA), revoked(JOANA), receipt(GROUP, MARIA[0])), "accepted sent read"),
        ((wrote(MARIA), unread(JOANA), wrote(MARIA), revoked(MARIA)), "received received revoked"),
        ((ACCEPTED, receipt(MARIA[0]), sent_to(MARIA[1])), "accepted read sent"),
        ((ACCEPTED, receipt(JOANA[1]), sent_to(MARIA[1])), "accepted sent"),
        ((receipt(JOANA[1]), wrote(MARIA)), "received"),
    ],
)
def test_a_story_has_no_step_of_another_message_with_the_same_id(events: tuple[Event, ...], steps: str) -> None:
    told = story(recorded(*events), "m1")
    assert told is not None
    assert [step.fate for step in told.steps] == steps.split()


def test_what_was_erased_is_believed() -> None:
    nobody = ("", "")
    (message,) = folded(wrote(nobody), revoked(MARIA)).all()
    assert message.fate is Fate.REVOKED
