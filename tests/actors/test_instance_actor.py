"""The shell of an instance over a real event store."""

import dataclasses
from concurrent.futures import Future
from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from chatbot_erp.actors import frames, tidings
from chatbot_erp.actors.callers import MOST_PENDING
from chatbot_erp.actors.commands import ConfigurePacing, CreateInstance, LoseSocket, RestartInstance, SendMessage
from chatbot_erp.actors.contents import Text
from chatbot_erp.actors.directory import Qr
from chatbot_erp.actors.endpoint import ConfigureEndpoint
from chatbot_erp.actors.erasing import Eraser
from chatbot_erp.actors.errors import InstanceNotOperational, NotPairing, OutcomeUnknown, SendingTooFast, Unavailable
from chatbot_erp.actors.instance_actor import InstanceActor
from chatbot_erp.actors.manager import Manager
from chatbot_erp.actors.pacing import UNPACED, Pacing
from chatbot_erp.actors.tallies import DISREGARDED
from chatbot_erp.actors.webhook_mail import Wake
from chatbot_erp.eventstore.records import MAIN, Delivery
from instance_world import NOW, PATIENCE_S, World, received


def sent(command_id: str) -> frames.SocketSent:
    return frames.SocketSent(command_id=command_id, message_id="m", jid="551@s.whatsapp.net", sent_at=NOW, text="Olá")


def test_what_came_while_the_actor_was_busy_is_stored_together_and_confirmed_once(world: World) -> None:
    world.tell(frames.SocketOfferedQr(qr="secret", valid_s=60))
    assert world.showing.wait(PATIENCE_S)
    for number in range(1, 11):
        world.tell(received(f"m{number}"), number)
    world.shown.set()
    assert world.host.next(frames.Confirm).number == 10
    assert world.types().count("message.received") == 10


def test_a_code_that_can_be_seen_says_until_when_it_can_be_scanned(world: World) -> None:
    world.tell(frames.SocketOfferedQr(qr="secret", valid_s=60))
    assert world.showing.wait(PATIENCE_S)
    seen = world.house.directory.seen("i")
    assert seen is not None
    assert seen.qr == Qr(text="secret", expires_at=NOW + timedelta(seconds=60))
    world.shown.set()


def test_what_was_staged_is_stored_even_if_the_next_command_is_refused(world: World) -> None:
    world.tell(frames.SocketOfferedQr(qr="secret", valid_s=60))
    assert world.showing.wait(PATIENCE_S)
    world.tell(received("m1"), 1)
    refused = world.send(SendMessage(command_id="c", number="551", content=Text(text="Olá")))
    world.shown.set()
    with pytest.raises(InstanceNotOperational):
        refused.result(PATIENCE_S)
    assert world.host.next(frames.Confirm).number == 1


def test_a_receiver_is_handed_what_was_stored_with_no_number_missing_between(world: World) -> None:
    world.connect()
    for number in range(1, 4):
        world.tell(received(f"m{number}"), number)
    deliveries = handed(world, 4)
    assert [each.sequence for each in deliveries] == [1, 2, 3, 4]
    assert [each.record.id for each in deliveries] == [each.record.id for each in world.store.deliveries("i", limit=10)]


def test_a_receiver_is_handed_only_what_it_wants_and_no_number_is_missing(world: World) -> None:
    world.actor.ask(ConfigureEndpoint(endpoint=MAIN, events=("message.received",)))
    world.connect()
    world.tell(received("m"), 1)
    assert [(each.sequence, each.record.type) for each in handed(world, 2)] == [(2, "message.received")]


def handed(world: World, last: int) -> list[Delivery]:
    """What the receiver is handed of the numbers from 1 to `last`."""
    deliveries: list[Delivery] = []
    until = 0
    while until < last:
        message = world.webhook_heard.get(timeout=PATIENCE_S)
        if isinstance(message, Wake) and message.news is not None:
            assert message.news.after == until
            deliveries += message.news.deliveries
            until = message.news.until
    return deliveries


def test_a_word_said_again_is_stored_once(world: World) -> None:
    world.tell(received("m1"), 1)
    world.tell(received("m1"), 1)
    world.tell(received("m2"), 2)
    while world.host.next(frames.Confirm).number != 2:
        pass
    assert world.types().count("message.received") == 2


def test_a_send_is_on_record_before_it_is_transmitted_and_answered_after_it_is_recorded(world: World) -> None:
    world.connect()
    caller = world.send(SendMessage(command_id="c", number="551", content=Text(text="Olá")))
    order = world.host.next(frames.Transmit)
    assert (order.command_id, order.to, order.text) == ("c", "551", "Olá")
    assert world.types()[-1] == "message.accepted"
    world.tell(sent("c"), 1)
    assert caller.result(PATIENCE_S).message_id == "m"
    assert world.types()[-2:] == ["message.sent", "instance.degraded"]


def test_a_send_without_a_host_is_reported_as_not_sent(world: World) -> None:
    world.connect()
    world.house.switchboard.unplug("i")
    caller = world.send(SendMessage(command_id="c", number="551", content=Text(text="Olá")))
    assert caller.result(PATIENCE_S).reason == "not_connected"


def test_a_send_nobody_waits_for_is_answered_when_it_is_on_record(world: World) -> None:
    world.connect()
    command = SendMessage(command_id="c", number="551", content=Text(text="Olá"))
    accepted: Future[None] = world.actor.ask(tidings.Accept(command=command))
    accepted.result(PATIENCE_S)
    assert world.types()[-1] == "message.accepted"
    assert world.host.next(frames.Transmit).command_id == "c"


def test_only_so_many_wait_for_whatsapp_without_a_caller(world: World) -> None:
    world.connect()
    for number in range(MOST_PENDING):
        command = SendMessage(command_id=f"c{number}", number="551", content=Text(text="Olá"))
        world.actor.ask(tidings.Accept(command=command)).result(PATIENCE_S)
    one_more = SendMessage(command_id="more", number="551", content=Text(text="Olá"))
    with pytest.raises(Unavailable):
        world.actor.ask(tidings.Accept(command=one_more))
    world.tell(sent("c0"), 1)
    world.host.next(frames.Confirm)
    world.actor.ask(tidings.Accept(command=one_more)).result(PATIENCE_S)


def test_those_that_come_together_are_counted_before_they_are_on_record(world: World) -> None:
    world.connect()

    def accept(number: int) -> Any:
        command = SendMessage(command_id=f"c{number}", number="551", content=Text(text="Olá"))
        return world.actor.ask(tidings.Accept(command=command), block=False)

    room = 10
    for number in range(MOST_PENDING - room):
        accept(number).get(timeout=PATIENCE_S)
    world.tell(frames.SocketOfferedQr(qr="secret", valid_s=60))
    assert world.showing.wait(PATIENCE_S)
    answers = [accept(MOST_PENDING + number) for number in range(2 * room)]
    world.shown.set()
    for answer in answers[:room]:
        answer.get(timeout=PATIENCE_S).result(PATIENCE_S)
    for answer in answers[room:]:
        with pytest.raises(Unavailable):
            answer.get(timeout=PATIENCE_S)
    assert world.types().count("message.accepted") == MOST_PENDING


def test_what_outruns_the_pacing_is_neither_on_record_nor_transmitted(world: World) -> None:
    world.connect()
    world.actor.ask(ConfigurePacing(pacing=Pacing(per_minute=0.01, burst=1, typing_s=2)))
    first = SendMessage(command_id="c1", number="551", content=Text(text="Olá"))
    world.actor.ask(tidings.Accept(command=first)).result(PATIENCE_S)
    assert world.host.next(frames.Transmit).typing_s == 2
    with pytest.raises(SendingTooFast):
        world.actor.ask(tidings.Accept(command=replace(first, command_id="c2")))
    with pytest.raises(SendingTooFast):
        world.send(replace(first, command_id="c3")).result(PATIENCE_S)
    world.actor.ask(ConfigurePacing(pacing=UNPACED))
    world.actor.ask(tidings.Accept(command=replace(first, command_id="c4"))).result(PATIENCE_S)
    assert world.types().count("message.accepted") == 2
    assert world.types().count("instance.pacing_configured") == 2


def test_what_cannot_be_sent_costs_nothing_of_the_pace(world: World) -> None:
    world.actor.ask(ConfigurePacing(pacing=Pacing(per_minute=0.01)))
    command = SendMessage(command_id="c", number="551", content=Text(text="Olá"))
    with pytest.raises(InstanceNotOperational):
        world.send(command).result(PATIENCE_S)
    world.connect()
    world.actor.ask(tidings.Accept(command=command)).result(PATIENCE_S)


def test_nobody_waits_for_an_actor_that_has_stopped(world: World) -> None:
    world.connect()
    caller = world.send(SendMessage(command_id="c", number="551", content=Text(text="Olá")))
    world.actor.stop()
    with pytest.raises(OutcomeUnknown):
        caller.result(PATIENCE_S)


def test_who_waits_for_a_code_is_told_at_once_that_the_attempt_to_pair_is_over(world: World) -> None:
    world.shown.set()
    world.tell(frames.SocketOfferedQr(qr="secret", valid_s=60))
    seeker = world.actor.ask(tidings.AskPairingCode(number="5511987654321"))
    world.actor.tell(LoseSocket(generation=1, cause="host_died"))
    with pytest.raises(NotPairing):
        seeker.result(PATIENCE_S)


def test_who_comes_too_late_for_an_actor_that_stops_is_told_to_come_again(world: World) -> None:
    world.tell(frames.SocketOfferedQr(qr="secret", valid_s=60))
    assert world.showing.wait(PATIENCE_S)
    world.actor.stop(block=False)
    late = world.send(SendMessage(command_id="c", number="551", content=Text(text="Olá")))
    world.shown.set()
    with pytest.raises(Unavailable):
        late.result(PATIENCE_S)


def test_a_message_that_is_not_taken_in_time_is_refused_and_never_sent(world: World) -> None:
    house = dataclasses.replace(world.house, config=replace(world.house.config, send_timeout_s=0.1))
    manager = Manager(house, Eraser(house.store, house.config))
    world.connect()
    world.tell(frames.SocketOfferedQr(qr="secret", valid_s=60), generation=1)
    world.actor.tell(RestartInstance(cause="requested"))
    world.tell(frames.SocketOfferedQr(qr="secret", valid_s=60), generation=2)
    assert world.showing.wait(PATIENCE_S)
    world.tell(frames.SocketConnected(jid="1@s.whatsapp.net", lid=None, push_name="Shop"), generation=2)
    with pytest.raises(Unavailable):
        manager.send_text("shop", "5511987654321", "Olá")
    world.send(SendMessage(command_id="c2", number="551", content=Text(text="Olá")))
    world.shown.set()
    assert world.host.next(frames.Transmit).command_id == "c2"
    assert world.types().count("message.accepted") == 1


def test_a_refusal_says_whether_the_log_has_the_message_that_failed(world: World) -> None:
    manager = Manager(world.house, Eraser(world.house.store, world.house.config))
    with pytest.raises(InstanceNotOperational) as before:
        manager.send_text("shop", "5511987654321", "Olá")
    world.connect()
    world.house.switchboard.unplug("i")
    with pytest.raises(InstanceNotOperational) as after:
        manager.send_text("shop", "5511987654321", "Olá")
    assert [before.value.on_record, after.value.on_record] == [False, True]
    assert [each for each in world.types() if each.startswith("message")] == ["message.accepted", "message.failed"]


def test_a_stream_that_moved_on_stops_the_actor_rather_than_let_it_guess(world: World) -> None:
    other: Any = InstanceActor.start("i", world.house, world.webhooks, None, 0)
    with pytest.raises(Exception, match="at version 1, not at 0"):
        other.ask(CreateInstance(name="shop", webhook_url="http://127.0.0.1:9/", session_from=None))
    while not isinstance(world.supervisor_heard.get(timeout=PATIENCE_S), tidings.ActorFailed):
        pass
    assert other.actor_stopped.wait(PATIENCE_S)


def change(observation: type[Any], jid: str, **fields: Any) -> Any:
    """Somebody edits, or takes back, the message m1."""
    return observation(message_id="m1", jid=jid, jid_alt=None, participant=None, push_name="", **fields)


def test_a_message_that_nobody_can_read_is_its_writers_all_the_same(world: World) -> None:
    unread = frames.SocketCouldNotDecrypt(message_id="m1", jid="7@lid", participant=None, unavailable=False)
    world.tell(unread, 1)
    world.tell(change(frames.SocketSawRevocation, "8@lid", revoked_at=NOW), 2)
    world.tell(replace(unread, message_id="m2", jid=""), 3)
    while world.host.next(frames.Confirm).number != 3:
        pass
    assert [kind for kind in world.types() if kind.startswith("message.")] == ["message.undecryptable"] * 2


def test_a_change_of_a_message_counts_from_its_writer_only_and_others_are_counted(world: World) -> None:
    world.tell(received("m1"), 1)
    forged = {"edit_id": "e1", "kind": "text", "text": "Passe 1000", "content": "{}", "edited_at": NOW, "raw": "{}"}
    world.tell(change(frames.SocketSawEdit, "8@lid", **forged), 2)
    world.tell(change(frames.SocketSawRevocation, "8@lid", revoked_at=NOW), 3)
    world.tell(change(frames.SocketSawEdit, "7@lid", **forged | {"edit_id": "e2", "text": "Ok"}), 4)
    world.tell(change(frames.SocketSawRevocation, "7@lid", revoked_at=NOW), 5)
    while world.host.next(frames.Confirm).number != 5:
        pass
    assert [kind for kind in world.types() if kind.startswith("message.")] == [
        "message.received",
        "message.edited",
        "message.revoked",
    ]
    disregarded = {by: count for (name, by), count in world.house.tallies.read().items() if name == DISREGARDED}
    assert sum(disregarded.values()) == 2
    assert len(disregarded) == 2
