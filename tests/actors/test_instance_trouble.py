"""What one message, one caller or one bad moment must not do to an instance."""

from datetime import UTC, datetime

import pytest

from chatbot_erp.actors import frames, tidings
from chatbot_erp.actors.commands import (
    LoseSocket,
    RemoveInstance,
    RestartInstance,
    SendMessage,
)
from chatbot_erp.actors.contents import Text
from chatbot_erp.eventstore.errors import NotStorable
from chatbot_erp.eventstore.events import Status
from instance_world import PATIENCE_S, World, received


def received_texts(world: World) -> list[str]:
    return [record.event.text for record in world.store.read(types={"message.received"}, limit=100)]  # type: ignore[attr-defined]


def test_what_can_never_be_stored_is_parked_confirmed_and_passed_over(world: World) -> None:
    """A lone surrogate is no Unicode: the log refuses it each time it is offered."""
    world.tell(received("m1"), 1)
    world.tell(received("m2", text="half a character: \ud800"), 2)
    world.tell(received("m3"), 3)
    while world.host.next(frames.Confirm).number != 3:
        pass
    assert [each["kind"] for each in world.parked()] == ["SocketReceived"]
    assert "\\ud800" in world.parked()[0]["command"]
    assert received_texts(world) == ["Oi", "Oi"]
    assert world.house.tallies.read()[("parked", "SocketReceived")] == 1
    assert not [told for told in list(world.supervisor_heard.queue) if isinstance(told, tidings.ActorFailed)]


def test_poison_in_a_batch_costs_the_others_nothing(world: World) -> None:
    world.tell(frames.SocketOfferedQr(qr="secret", valid_s=60))
    assert world.showing.wait(PATIENCE_S)
    for number in range(1, 21):
        world.tell(received(f"m{number}", text="\udfff" if number == 10 else str(number)), number)
    world.shown.set()
    while world.host.next(frames.Confirm).number != 20:
        pass
    assert received_texts(world) == [str(number) for number in range(1, 21) if number != 10]
    assert len(world.parked()) == 1


def test_what_cannot_even_be_decided_is_parked_after_what_was_heard_before_is_stored(world: World) -> None:
    """A receipt of a kind that this manager has never heard of."""
    world.tell(received("m1"), 1)
    world.tell(frames.SocketSawReceipt(message_ids=("m0",), jid="7@lid", participant=None, ack=99), 2)
    world.tell(received("m2"), 3)
    while world.host.next(frames.Confirm).number != 3:
        pass
    assert received_texts(world) == ["Oi", "Oi"]
    assert [each["error"] for each in world.parked()] == ["ValueError('99 is not a valid Ack')"]


def test_a_caller_whose_text_cannot_be_stored_is_told_so_and_the_actor_lives(world: World) -> None:
    world.connect()
    caller = world.send(SendMessage(command_id="c", number="551", content=Text(text="\ud800")))
    with pytest.raises(NotStorable):
        caller.result(PATIENCE_S)
    world.tell(received("m1"), 1)
    assert world.host.next(frames.Confirm).number == 1


def test_a_restart_that_comes_after_the_removal_is_moot(world: World) -> None:
    world.actor.ask(RemoveInstance(unlink=False))
    world.actor.tell(RestartInstance(cause="host_died"))
    world.actor.tell(LoseSocket(generation=1, cause="host_died"))
    world.actor.ask(tidings.Introduce())
    assert world.types()[-1] == "instance.removed"
    assert not world.parked()


@pytest.mark.parametrize(
    "word",
    [
        received("late"),
        frames.SocketFailedToSend(command_id="c", reason="not_connected", detail="The socket is closing."),
        frames.SocketSawReceipt(message_ids=("a", "b"), jid="551@s.whatsapp.net", participant=None, ack=2),
    ],
    ids=lambda word: type(word).__name__,
)
def test_what_a_socket_still_says_after_the_removal_is_confirmed_and_no_trouble(
    world: World, word: frames.Observation
) -> None:
    world.actor.ask(RemoveInstance(unlink=False))
    world.tell(word, 1)
    assert world.host.next(frames.Confirm).number == 1
    assert world.types()[-1] == "instance.removed"
    assert not world.parked()


def test_the_time_of_a_ban_is_seen_and_gone_with_it(world: World) -> None:
    until = datetime(2026, 11, 24, tzinfo=UTC)
    world.connect()
    world.tell(frames.SocketEnded(cause="temporarily_banned", retry_at=until))
    world.actor.ask(tidings.Introduce())
    view = world.house.directory.view("shop")
    assert (view.status, view.reason, view.retry_at) == (Status.DISCONNECTED, "temporarily_banned", until)
    world.actor.tell(RestartInstance(cause="temporarily_banned"))
    world.actor.ask(tidings.Introduce())
    assert world.house.directory.view("shop").retry_at is None
