"""What WhatsApp tells twice has the same id both times."""

from datetime import UTC, datetime

from chatbot_erp.actors import frames
from chatbot_erp.actors.commands import Observed, RestartInstance
from chatbot_erp.actors.identities import event_ids

NOW = datetime(2026, 11, 23, tzinfo=UTC)


def receipt(*message_ids: str) -> Observed:
    seen = frames.SocketSawReceipt(message_ids=message_ids, jid="7@lid", participant=None, ack=2)
    return Observed(generation=1, observation=seen, at=NOW)


def test_a_receipt_told_twice_is_one_fact() -> None:
    assert event_ids("i", receipt("a"), 2) == event_ids("i", receipt("a"), 2)


def test_a_receipt_told_in_other_company_is_still_the_same_fact() -> None:
    both, alone = event_ids("i", receipt("a", "b"), 3), event_ids("i", receipt("b"), 2)
    assert both[1:] == alone


def test_the_same_message_id_of_another_instance_is_another_fact() -> None:
    assert event_ids("i", receipt("a"), 1) != event_ids("j", receipt("a"), 1)


def test_the_events_of_one_decision_differ() -> None:
    assert len(set(event_ids("i", receipt("a", "b"), 3))) == 3


def test_every_restart_is_a_new_fact() -> None:
    assert event_ids("i", RestartInstance(cause="x"), 1) != event_ids("i", RestartInstance(cause="x"), 1)
