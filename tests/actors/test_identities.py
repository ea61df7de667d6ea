"""What WhatsApp tells twice has the same id both times."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid5

from hypothesis import given
from hypothesis import strategies as st

from chatbot_erp.actors import frames, people_frames
from chatbot_erp.actors.commands import Observed, RecordVerdict, RestartInstance
from chatbot_erp.actors.identities import event_ids, named, shown
from chatbot_erp.eventstore.events import GroupJoined, GroupUpdated, WebhookDelivered

NOW = datetime(2026, 11, 23, tzinfo=UTC)


def receipt(*message_ids: str) -> Observed:
    seen = frames.SocketSawReceipt(message_ids=message_ids, jid="7@lid", participant=None, ack=2)
    return Observed(generation=1, observation=seen, at=NOW)


@given(st.uuids(), st.text())
def test_ids_are_uuids_of_version_5_as_they_ever_were(namespace: UUID, name: str) -> None:
    assert shown(named(namespace.bytes, name)) == str(uuid5(namespace, name))


def test_a_receipt_told_twice_is_one_fact() -> None:
    assert event_ids("i", receipt("a"), 2) == event_ids("i", receipt("a"), 2)


def test_a_receipt_told_in_other_company_is_still_the_same_fact() -> None:
    both, alone = event_ids("i", receipt("a", "b"), 3), event_ids("i", receipt("b"), 2)
    assert both[1:] == alone


def test_the_same_message_id_of_another_instance_is_another_fact() -> None:
    assert event_ids("i", receipt("a"), 1) != event_ids("j", receipt("a"), 1)


def test_an_edit_is_another_fact_than_the_message_and_than_the_next_edit() -> None:
    def edit(edit_id: str) -> Observed:
        whose: Any = {"message_id": "a", "jid": "7@lid", "jid_alt": None, "participant": None, "push_name": ""}
        said: Any = {"kind": "text", "text": "", "content": "{}", "raw": "{}"}
        seen = frames.SocketSawEdit(**whose, **said, edit_id=edit_id, edited_at=NOW)
        return Observed(generation=1, observation=seen, at=NOW)

    assert event_ids("i", edit("b"), 1) == event_ids("i", edit("b"), 1) != event_ids("i", edit("c"), 1)


def test_the_events_of_one_decision_differ() -> None:
    assert len(set(event_ids("i", receipt("a", "b"), 3))) == 3


def test_every_restart_is_a_new_fact() -> None:
    assert event_ids("i", RestartInstance(cause="x"), 1) != event_ids("i", RestartInstance(cause="x"), 1)


def test_a_change_of_a_group_told_twice_is_one_fact_and_two_changes_are_two() -> None:
    def change(subject: str) -> Observed:
        told = GroupUpdated(
            jid="9@g.us",
            by="7@lid",
            changed_at=NOW,
            subject=subject,
            description=None,
            announce=None,
            locked=None,
            ephemeral_s=None,
            joined=(),
            left=(),
            promoted=(),
            demoted=(),
            invite_reset=False,
            deleted=False,
        )
        return Observed(generation=1, observation=people_frames.SocketSawGroupChange(change=told), at=NOW)

    assert event_ids("i", change("a"), 1) == event_ids("i", change("a"), 1) != event_ids("i", change("b"), 1)


def test_joining_a_group_told_twice_is_one_fact_and_coming_back_is_another() -> None:
    def joined(version: str) -> Observed:
        told = GroupJoined(jid="9@g.us", subject="", description="", participants=(), reason="")
        return Observed(generation=1, observation=people_frames.SocketJoinedGroup(joined=told, version=version), at=NOW)

    assert event_ids("i", joined("4"), 1) == event_ids("i", joined("4"), 1) != event_ids("i", joined("6"), 1)
    # Without a version nobody can tell: rather twice on record than not at all.
    assert event_ids("i", joined(""), 1) != event_ids("i", joined(""), 1)


def test_a_verdict_told_twice_is_one_fact_and_that_of_another_endpoint_or_of_a_replay_is_another() -> None:
    def verdict(endpoint: str, turn: int) -> RecordVerdict:
        settled = WebhookDelivered(sequence=7, attempts=1, http_status=200, endpoint=endpoint)
        return RecordVerdict(verdict=settled, round=turn)

    told = [("main", 0), ("main", 40), ("main", 41), ("crm", 0), ("crm", 40)]
    assert event_ids("i", verdict("main", 40), 1) == event_ids("i", verdict("main", 40), 1)
    assert len({event_ids("i", verdict(*each), 1)[0] for each in told}) == len(told)
