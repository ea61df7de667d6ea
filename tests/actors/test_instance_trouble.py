"""What one message, one caller or one bad moment must not do to an instance."""

import dataclasses
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest

from chatbot_erp.actors import frames, tidings
from chatbot_erp.actors.commands import (
    LoseSocket,
    Observed,
    RecordVerdict,
    RemoveInstance,
    RestartInstance,
    SendMessage,
)
from chatbot_erp.actors.contents import Text
from chatbot_erp.actors.endpoint import DisableEndpoint, EnableEndpoint
from chatbot_erp.actors.errors import OutcomeUnknown, Unavailable
from chatbot_erp.actors.instance_actor import InstanceActor
from chatbot_erp.actors.instance_mail import ROOM, ROOM_FOR_REMOVALS, Mailbox
from chatbot_erp.actors.journal import JournalBroken
from chatbot_erp.actors.manager import ask
from chatbot_erp.actors.media_frames import FetchMedia, SocketFetched
from chatbot_erp.actors.media_specs import Media
from chatbot_erp.actors.rebuild import rebuild
from chatbot_erp.eventstore.errors import NotStorable, StoreUnavailable
from chatbot_erp.eventstore.events import Event, Status, WebhookDelivered
from chatbot_erp.eventstore.records import MAIN
from chatbot_erp.eventstore.store import EventStore, NewEvent
from instance_world import NOW, PATIENCE_S, World, received


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    yield world
    world.shown.set()
    world.close()


def parked(world: World) -> list[Any]:
    folder = world.house.config.data_dir / "parked"
    return [msgspec.json.decode(path.read_bytes()) for path in sorted(folder.glob("*.json"))]


def received_texts(world: World) -> list[str]:
    return [record.event.text for record in world.store.read(types={"message.received"}, limit=100)]  # type: ignore[attr-defined]


def test_what_can_never_be_stored_is_parked_confirmed_and_passed_over(world: World) -> None:
    """A lone surrogate is no Unicode: the log refuses it each time it is offered."""
    world.tell(received("m1"), 1)
    world.tell(received("m2", text="half a character: \ud800"), 2)
    world.tell(received("m3"), 3)
    while world.host.next(frames.Confirm).number != 3:
        pass
    assert [each["kind"] for each in parked(world)] == ["SocketReceived"]
    assert "\\ud800" in parked(world)[0]["command"]
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
    assert len(parked(world)) == 1


def test_what_cannot_even_be_decided_is_parked_after_what_was_heard_before_is_stored(world: World) -> None:
    """A receipt of a kind that this manager has never heard of."""
    world.tell(received("m1"), 1)
    world.tell(frames.SocketSawReceipt(message_ids=("m0",), jid="7@lid", participant=None, ack=99), 2)
    world.tell(received("m2"), 3)
    while world.host.next(frames.Confirm).number != 3:
        pass
    assert received_texts(world) == ["Oi", "Oi"]
    assert [each["error"] for each in parked(world)] == ["ValueError('99 is not a valid Ack')"]


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
    assert not parked(world)


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
    assert not parked(world)


def test_more_requests_than_there_is_room_for_are_refused_at_once(world: World) -> None:
    world.connect()
    world.tell(frames.SocketOfferedQr(qr="secret", valid_s=60), generation=1)
    world.actor.tell(RestartInstance(cause="requested"))
    world.tell(frames.SocketOfferedQr(qr="secret", valid_s=60), generation=2)
    assert world.showing.wait(PATIENCE_S)
    waiting = [world.send(SendMessage(command_id=str(n), number="551", content=Text(text="Olá"))) for n in range(ROOM)]
    with pytest.raises(Unavailable):
        world.send(SendMessage(command_id="more", number="551", content=Text(text="Olá")))
    with pytest.raises(Unavailable):
        world.actor.ask(DisableEndpoint(endpoint=MAIN, reason="requested"), block=False)
    world.tell(received("m1"), 1)
    world.shown.set()
    assert world.host.next(frames.Confirm).number == 1
    for each in waiting:
        with pytest.raises(Exception, match="not CONNECTED"):
            each.result(PATIENCE_S)


def test_a_removal_has_room_where_other_requests_have_none_and_not_without_end(world: World) -> None:
    world.tell(frames.SocketOfferedQr(qr="secret", valid_s=60))
    assert world.showing.wait(PATIENCE_S)
    for _ in range(ROOM):
        world.actor.ask(EnableEndpoint(endpoint=MAIN), block=False)
    world.actor.tell(DisableEndpoint(endpoint=MAIN, reason="gone"))
    removals = [world.actor.ask(RemoveInstance(unlink=False), block=False) for _ in range(ROOM_FOR_REMOVALS)]
    with pytest.raises(Unavailable):
        world.actor.ask(RemoveInstance(unlink=False), block=False)
    world.shown.set()
    removals[0].get(timeout=PATIENCE_S)
    assert world.types()[-2:] == ["endpoint.disabled", "instance.removed"]


def test_a_number_whose_sends_hang_holds_only_its_share_of_the_callers(world: World) -> None:
    world.connect()
    share = world.house.config.http_threads // 2
    hanging = [world.send(SendMessage(command_id=str(n), number="551", content=Text(text="Olá"))) for n in range(share)]
    with pytest.raises(Unavailable):
        world.send(SendMessage(command_id="more", number="551", content=Text(text="Olá"))).result(PATIENCE_S)
    world.actor.ask(tidings.Introduce())
    assert world.types().count("message.accepted") == share
    world.actor.tell(LoseSocket(generation=1, cause="host_died"))
    assert [each.result(PATIENCE_S).reason for each in hanging] == ["host_died"] * share


def test_a_restart_that_waits_is_one_for_all_who_want_it(world: World) -> None:
    world.tell(frames.SocketOfferedQr(qr="secret", valid_s=60))
    assert world.showing.wait(PATIENCE_S)
    for _ in range(50):
        world.actor.tell(RestartInstance(cause="requested"))
    asked = world.actor.ask(RestartInstance(cause="manager_started"), block=False)
    world.shown.set()
    asked.get(timeout=PATIENCE_S)
    assert world.types().count("instance.restarted") == 2
    world.actor.tell(RestartInstance(cause="requested"))
    world.actor.ask(tidings.Introduce())
    assert world.types().count("instance.restarted") == 3


def test_a_heartbeat_overtakes_all_other_mail(world: World) -> None:
    world.tell(frames.SocketOfferedQr(qr="secret", valid_s=60))
    assert world.showing.wait(PATIENCE_S)
    for number in range(1, 201):
        world.tell(received(f"m{number}"), number)
    world.actor.tell(tidings.Ping())
    assert not [told for told in list(world.supervisor_heard.queue) if isinstance(told, tidings.Pong)]
    world.shown.set()
    while not isinstance(told := world.supervisor_heard.get(timeout=PATIENCE_S), tidings.Pong):
        pass
    assert told.urn == world.actor.actor_urn
    assert world.types().count("message.received") < 200


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


class SickStore:
    """The real one, whose appends can be refused; `offered` is what they held while they were not.

    `refuse_alone` is refused once, where it comes in an append of its own.
    """

    def __init__(self, store: EventStore) -> None:
        self._store = store
        self.sick = self.broken = False
        self.refuse_next = 0
        self.refuse_alone = ""
        self.offered: list[Event] = []

    def append(self, stream: str, expected_version: int, events: Sequence[NewEvent], *, snapshot: bytes) -> Any:
        if self.broken:
            raise JournalBroken("on purpose")
        if self.sick or self.refuse_next:
            self.refuse_next -= not self.sick
            raise StoreUnavailable("full", "on purpose")
        if [getattr(new.event, "message_id", None) for new in events] == [self.refuse_alone]:
            self.refuse_alone = ""
            raise StoreUnavailable("full", "on purpose")
        self.offered += [new.event for new in events]
        return self._store.append(stream, expected_version, events, snapshot=snapshot)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


def test_a_verdict_that_is_told_again_and_again_while_the_disk_refuses_is_owed_once(world: World) -> None:
    store = SickStore(world.store)
    house = dataclasses.replace(world.house, store=cast(EventStore, store))
    world.actor.stop()
    (head,) = world.store.open_streams()
    actor: Any = InstanceActor.start("i", house, world.webhooks, rebuild(world.store, head), head.version)
    store.sick = True
    verdict = WebhookDelivered(sequence=1, attempts=1, http_status=200)
    told = tidings.Settled(verdicts=(RecordVerdict(verdict=verdict),))
    actor.tell(told)
    actor.tell(LoseSocket(generation=1, cause="host_died"))
    for _ in range(50):
        actor.tell(told)
    actor.ask(tidings.Introduce())
    store.sick = False
    actor.tell(tidings.RepeatDue())
    actor.ask(tidings.Introduce())
    assert store.offered.count(verdict) == 1
    assert world.types().count("webhook.delivered") == 1
    actor.stop()


@pytest.fixture
def sick(world: World) -> Iterator[tuple[Any, SickStore]]:
    """The instance with a store whose appends can be refused."""
    store = SickStore(world.store)
    world.actor.stop()
    (head,) = world.store.open_streams()
    house = dataclasses.replace(world.house, store=cast(EventStore, store))
    actor: Any = InstanceActor.start("i", house, world.webhooks, rebuild(world.store, head), head.version)
    yield actor, store
    actor.stop()


def hold(world: World, actor: Any) -> None:
    """Keep the actor busy, so that what it is told meanwhile is one batch."""
    world.shown.clear()
    world.showing.clear()
    tell(world, actor, frames.SocketOfferedQr(qr="secret", valid_s=60), 0)
    assert world.showing.wait(PATIENCE_S)


def tell(world: World, actor: Any, seen: frames.Observation, number: int) -> None:
    observed = Observed(generation=1, observation=seen, at=NOW)
    actor.tell(tidings.Heard(observed=observed, number=number, oldest=1, host=world.host))


def test_a_vote_that_is_stored_after_a_message_that_was_not_confirms_neither(
    world: World, sick: tuple[Any, SickStore]
) -> None:
    """Confirming is cumulative: the host would forget the message, and WhatsApp does not say it again."""
    actor, store = sick
    vote = msgspec.structs.replace(received("vote"), kind="poll_vote", content='{"message":{}}')
    hold(world, actor)
    tell(world, actor, received("m1"), 1)
    tell(world, actor, vote, 2)
    store.refuse_next = 1
    world.shown.set()
    assert isinstance(world.host.next(frames.Repeat), frames.Repeat)
    assert not [order for order in world.host.passed if isinstance(order, frames.Confirm)]
    tell(world, actor, received("m1"), 1)
    tell(world, actor, vote, 2)
    while world.host.next(frames.Confirm).number != 2:
        pass
    assert sorted(record.event.message_id for record in world.store.read(types={"message.received"}, limit=9)) == [  # type: ignore[attr-defined]
        "m1",
        "vote",
    ]


def test_an_actor_whose_disk_does_not_answer_before_a_vote_goes_on_with_no_guess(
    world: World, sick: tuple[Any, SickStore]
) -> None:
    actor, store = sick
    hold(world, actor)
    tell(world, actor, received("m1"), 1)
    tell(world, actor, msgspec.structs.replace(received("vote"), kind="poll_vote", content='{"message":{}}'), 2)
    store.broken = True
    world.shown.set()
    while not isinstance(world.supervisor_heard.get(timeout=PATIENCE_S), tidings.ActorFailed):
        pass
    assert not parked(world)
    assert not [order for order in list(world.host.orders.queue) if isinstance(order, frames.Confirm)]


def test_a_caller_whose_disk_does_not_answer_is_told_that_nobody_knows(
    world: World, sick: tuple[Any, SickStore]
) -> None:
    actor, store = sick
    store.broken = True
    with pytest.raises(OutcomeUnknown):
        ask(actor, EnableEndpoint(endpoint=MAIN))


def test_a_file_that_has_come_is_given_out_also_while_the_log_refuses_writes(
    world: World, sick: tuple[Any, SickStore], tmp_path: Path
) -> None:
    actor, store = sick
    store.sick = True
    verdict = WebhookDelivered(sequence=1, attempts=1, http_status=200)
    actor.tell(tidings.Settled(verdicts=(RecordVerdict(verdict=verdict),)))
    media = Media(
        path="/v",
        key=b"k" * 32,
        purpose="Image",
        category="image",
        sha256=b"",
        encrypted_sha256=b"",
        size=3,
        mime_type="image/png",
        name="",
    )
    arrived = actor.ask(tidings.AskMedia(media=media, target=str(tmp_path / "file")), timeout=PATIENCE_S)
    order = world.host.next(FetchMedia)
    tell(world, actor, SocketFetched(command_id=order.command_id, size=3), 0)
    arrived.result(PATIENCE_S)
    assert "webhook.delivered" not in world.types()
    store.sick = False


def test_after_a_stall_a_word_that_came_before_the_repeated_ones_does_not_have_them_forgotten(
    world: World, sick: tuple[Any, SickStore]
) -> None:
    actor, store = sick
    store.refuse_next = 1
    tell(world, actor, received("m1"), 1)
    assert isinstance(world.host.next(frames.Repeat), frames.Repeat)
    # It was in the pipe before the host had heard that it is to repeat.
    tell(world, actor, received("m2"), 2)
    tell(world, actor, received("m1"), 1)
    tell(world, actor, received("m2"), 2)
    while world.host.next(frames.Confirm).number != 2:
        pass
    assert ids_received(world) == ["m1", "m2"]


def test_where_a_batch_is_taken_apart_nothing_overtakes_what_the_disk_refuses(
    world: World, sick: tuple[Any, SickStore]
) -> None:
    actor, store = sick
    said = [received("m1"), received("poison", text="\udfff"), received("m2"), received("m3")]
    hold(world, actor)
    for number, seen in enumerate(said, start=1):
        tell(world, actor, seen, number)
    store.refuse_alone = "m2"
    world.shown.set()
    assert isinstance(world.host.next(frames.Repeat), frames.Repeat)
    assert ids_received(world) == ["m1"]
    for number, seen in enumerate(said, start=1):
        tell(world, actor, seen, number)
    while world.host.next(frames.Confirm).number != 4:
        pass
    assert ids_received(world) == ["m1", "m2", "m3"]


def test_what_is_told_again_and_again_while_the_disk_refuses_is_done_once(
    world: World, sick: tuple[Any, SickStore]
) -> None:
    actor, store = sick
    store.sick = True
    for _ in range(50):
        actor.tell(LoseSocket(generation=1, cause="socket_failed"))
        actor.tell(RestartInstance(cause="socket_failed"))
    actor.ask(tidings.Introduce())
    store.sick = False
    actor.tell(tidings.RepeatDue())
    actor.ask(tidings.Introduce())
    assert world.types().count("instance.restarted") == 1


def test_the_successor_of_an_actor_takes_in_nothing_before_what_that_left_behind(world: World) -> None:
    world.tell(received("m1"), 1)
    world.host.next(frames.Confirm)
    world.actor.stop()
    (head,) = world.store.open_streams()
    actor: Any = InstanceActor.start("i", world.house, world.webhooks, rebuild(world.store, head), head.version)
    observed = Observed(generation=1, observation=received("m3"), at=NOW)
    actor.tell(tidings.Heard(observed=observed, number=3, oldest=2, host=world.host))
    assert isinstance(world.host.next(frames.Repeat), frames.Repeat)
    assert not [order for order in world.host.passed if isinstance(order, frames.Confirm) and order.number > 1]
    for number in (2, 3):
        observed = Observed(generation=1, observation=received(f"m{number}"), at=NOW)
        actor.tell(tidings.Heard(observed=observed, number=number, oldest=2, host=world.host))
    while world.host.next(frames.Confirm).number != 3:
        pass
    assert ids_received(world) == ["m1", "m2", "m3"]
    actor.stop()


def ids_received(world: World) -> list[str]:
    return [record.event.message_id for record in world.store.read(types={"message.received"}, limit=100)]  # type: ignore[attr-defined]


def test_restarts_that_callers_want_have_their_room_and_no_more() -> None:
    box = Mailbox()
    wanted = SimpleNamespace(message=tidings.RestartWanted(instance="i"), reply_to=None)
    for _ in range(ROOM):
        box.put(wanted)
    with pytest.raises(Unavailable):
        box.put(wanted)
    box.get()
    box.put(wanted)
