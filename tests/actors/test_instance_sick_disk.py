"""An instance whose log refuses what it has to write, or does not answer."""

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest
from structlog.testing import capture_logs

from chatbot_erp.actors import frames, instance_actor, tidings
from chatbot_erp.actors.commands import (
    LoseSocket,
    Observed,
    RecordVerdict,
    RestartInstance,
)
from chatbot_erp.actors.dispatch import ask
from chatbot_erp.actors.endpoint import EnableEndpoint
from chatbot_erp.actors.errors import OutcomeUnknown
from chatbot_erp.actors.instance_actor import InstanceActor
from chatbot_erp.actors.journal import JournalBroken
from chatbot_erp.actors.media_frames import FetchMedia, SocketFetched
from chatbot_erp.actors.media_specs import Media
from chatbot_erp.actors.rebuild import rebuild
from chatbot_erp.eventstore.errors import StoreUnavailable
from chatbot_erp.eventstore.events import Event, WebhookDelivered
from chatbot_erp.eventstore.records import MAIN
from chatbot_erp.eventstore.store import EventStore, NewEvent
from instance_world import NOW, PATIENCE_S, World, received


def ids_received(world: World) -> list[str]:
    return [record.event.message_id for record in world.store.read(types={"message.received"}, limit=100)]  # type: ignore[attr-defined]


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


def test_a_verdict_that_is_told_again_and_again_while_the_disk_refuses_is_owed_once(
    world: World, sick: tuple[Any, SickStore]
) -> None:
    actor, store = sick
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


def test_that_the_log_refuses_is_said_once_until_it_has_taken_something(
    world: World, sick: tuple[Any, SickStore]
) -> None:
    actor, store = sick
    with capture_logs() as logged:
        for outage in range(2):
            store.sick = True
            actor.tell(LoseSocket(generation=1, cause=f"refused {outage}"))
            for _ in range(3):
                actor.tell(tidings.RepeatDue())
            actor.ask(tidings.Introduce())
            store.sick = False
            actor.tell(tidings.RepeatDue())
            actor.ask(tidings.Introduce())
    assert [each["action"] for each in logged].count("instance_stalled") == 2


def test_the_next_outage_is_said_also_where_nothing_was_left_to_write_after_the_last_one(
    world: World, sick: tuple[Any, SickStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(instance_actor, "SAME_OUTAGE_S", 0.0)
    actor, store = sick
    with capture_logs() as logged:
        for _ in range(2):
            store.sick = True
            tell(world, actor, frames.SocketConnected(jid="1@s.whatsapp.net", lid=None, push_name="Shop"), 0)
            actor.ask(tidings.Introduce())
            store.sick = False
            actor.tell(tidings.RepeatDue())
            actor.ask(tidings.Introduce())
    assert [each["action"] for each in logged].count("instance_stalled") == 2
    assert "instance.connected" not in world.types()


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
    assert not world.parked()
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
