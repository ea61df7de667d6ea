"""Deliveries whose order is kept within each chat only."""

import pytest

from chatbot_erp.actors import webhook_holds
from chatbot_erp.actors.webhook_backlog import BATCH
from chatbot_erp.actors.webhook_holds import Holds, hold_of
from chatbot_erp.actors.webhook_mail import Ping, Wake
from receiver import Receiver
from waiting import wait_until
from webhook_world import Begin, Desk, at_least, texts


@pytest.mark.usefixtures("patient")
def test_by_chat_a_receiver_that_recovered_is_told_at_once_what_every_chat_waits_for(
    begin: Begin, receiver: Receiver
) -> None:
    receiver.answer = lambda _: 500
    number = begin(settings={"order": "chat"})
    for n in range(8):
        number.hear(f"m{n}", f"n{n}", chat=f"{n}@lid")
    at_least(receiver, webhook_holds.BREAKER_AFTER)
    number.actor.ask(Ping(), timeout=60)
    receiver.answer = lambda _: 200
    number.hear("new", chat="new@lid")
    number.settled(17)
    assert set(texts(receiver)) == {"new"} | {f"{kind}{n}" for kind in "mn" for n in range(8)}


@pytest.mark.usefixtures("long_waits")
def test_by_chat_one_that_fails_holds_up_nobody_behind_it_however_much_of_it_waits(
    begin: Begin, desk: Desk, receiver: Receiver
) -> None:
    """The store is read again before it knows of the failure: then it shows nothing but the chat that failed."""
    desk.is_slow = True
    receiver.answer = lambda told: 500 if told.payload["message"]["text"].startswith("a") else 200
    number = begin(settings={"order": "chat", "paused": True})
    number.hear(*(f"a{n}" for n in range(2 * BATCH)), chat="a@lid")
    number.hear("b", chat="b@lid")
    number.change(paused=False)
    number.settled(1)
    assert texts(receiver) == ["a0", "b"]


def test_a_hold_that_ends_while_the_backlog_is_read_is_a_reason_to_look_again_at_once() -> None:
    holds = Holds()
    holds.fail(7, hold_of(1, 1, None, 0.05, asked=False))
    assert holds.chats() == [7]
    wait_until(lambda: not holds.is_held(7))
    assert holds.soonest_s() == 0.0
    assert holds.chats() == []
    assert holds.soonest_s() is None


@pytest.mark.usefixtures("patient")
def test_by_chat_what_waits_from_the_last_life_is_told_when_something_gets_through(
    begin: Begin, receiver: Receiver
) -> None:
    """A 503 may have named a time, which the next life does not know: it asks for nothing before that, but is told."""
    receiver.answer = lambda _: 503
    number = begin(settings={"order": "chat"})
    number.hear("a", chat="a@lid")
    wait_until(lambda: len(number.attempts()) == 1)
    number.die()
    number.live()
    number.actor.tell(Wake())
    number.actor.ask(Ping(), timeout=60)
    assert texts(receiver) == ["a"]
    receiver.answer = lambda _: 200
    number.hear("b", chat="b@lid")
    number.settled(2)
    assert texts(receiver) == ["a", "b", "a"]
