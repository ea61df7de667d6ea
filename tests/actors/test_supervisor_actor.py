"""The supervisor and the actors below it: who fails, hangs or has lost its mail is replaced."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import Any

import pykka
import pytest
from structlog.testing import capture_logs

from chatbot_erp.actors import frames, lives, successors, supervision, tidings, watching
from chatbot_erp.actors.commands import Observed, RemoveInstance
from chatbot_erp.actors.endpoint import ConfigureEndpoint
from chatbot_erp.actors.host_process import HostDeath
from chatbot_erp.actors.house import utc_now
from chatbot_erp.actors.journal import JournalBroken
from chatbot_erp.actors.supervision import INTENSITY
from chatbot_erp.actors.supervisor_actor import SupervisorActor
from chatbot_erp.actors.webhook_actor import WebhookActor
from chatbot_erp.actors.webhook_credentials import Credentials
from chatbot_erp.eventstore.events import InstanceRemoved, InstanceRestarted, MessageReceived, Status
from chatbot_erp.eventstore.records import MAIN
from fake_sockets import received
from receiver import Delivery, Receiver
from supervisor_world import PATIENCE_S, World, end_soon
from waiting import wait_until


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    yield world
    world.close()


def test_an_actor_that_fails_is_replaced_and_goes_on_with_its_socket(world: World) -> None:
    host = world.connect("a")
    failing = world.house.directory.actor("a")
    assert failing is not None
    failing.tell("nonsense")
    host.next(frames.Repeat)
    assert world.house.directory.actor("a") != failing
    assert world.house.directory.view("a").status is Status.CONNECTED
    assert world.log_causes("a") == ["paired"]
    assert world.house.tallies.read()[("actors_replaced", "actor_failed")] == 1


def test_a_delivery_actor_that_fails_is_replaced_at_once_but_not_again_and_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervision, "INTENSITY", (1, 300.0))
    others = set(pykka.ActorRegistry.get_by_class(WebhookActor))
    world.create("a")
    (failing,) = set(pykka.ActorRegistry.get_by_class(WebhookActor)) - others
    failing.tell("nonsense")
    world.wait("a", lambda _: ("actors_replaced", "webhook_failed") in world.house.tallies.read())
    (successor,) = set(pykka.ActorRegistry.get_by_class(WebhookActor)) - others
    successor.tell("nonsense")
    assert successor.actor_stopped.wait(PATIENCE_S)
    world.supervisor.tell(tidings.WebhookFailed(instance="a", endpoint=MAIN))
    world.supervisor.ask(tidings.Introduce())
    assert world.house.tallies.read()[("actors_replaced", "webhook_failed")] == 1


def test_a_delivery_actor_that_hangs_is_replaced_and_what_it_was_to_tell_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(tmp_path, webhook_timeout_s=2.0)
    may_go_on = world.mute.hang = Event()
    others = set(pykka.ActorRegistry.get_by_class(WebhookActor))
    with Receiver() as receiver:
        host = world.create("a")
        Credentials(world.vault, "a", MAIN).make()
        actor: Any = world.house.directory.actor("a")
        assert world.mute.hanging.wait(PATIENCE_S)
        (hanging,) = set(pykka.ActorRegistry.get_by_class(WebhookActor)) - others
        actor.ask(ConfigureEndpoint(endpoint=MAIN, url=receiver.url("/")))
        world.say(host, "a", 1, frames.SocketOfferedQr(qr="secret", valid_s=60))
        actor.ask(tidings.Introduce())
        monkeypatch.setattr(lives, "STUCK_S", 0.0)

        def is_replaced() -> bool:
            world.look_thoroughly()
            return ("actors_replaced", "webhook_stuck") in world.house.tallies.read()

        wait_until(is_replaced)
        receiver.wait_for(lambda told: told["event"] == "instance.status")
        may_go_on.set()
        assert hanging.actor_stopped.wait(PATIENCE_S)
    world.close()


def test_an_actor_that_always_fails_is_not_replaced_for_ever_until_somebody_asks(world: World) -> None:
    host = world.connect("a")
    for _ in range(INTENSITY[0]):
        failing = world.house.directory.actor("a")
        assert failing is not None
        failing.tell("nonsense")
        host.next(frames.Repeat)
    failing = world.house.directory.actor("a")
    assert failing is not None
    failing.tell("nonsense")
    assert failing.actor_stopped.wait(PATIENCE_S)
    wait_until(lambda: ("quarantines", "actor_failed") in world.house.tallies.read())
    world.supervisor.tell(tidings.RestartWanted(instance="a"))
    host.next(frames.CloseSocket)


def test_an_actor_that_fails_now_and_then_over_a_connection_that_stands_is_forgiven(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervision, "HEALTHY_AFTER_S", 0.0)
    host = world.connect("a")
    for _ in range(INTENSITY[0] + 1):
        failing = world.house.directory.actor("a")
        assert failing is not None
        failing.tell("nonsense")
        host.next(frames.Repeat)
    assert ("quarantines", "actor_failed") not in world.house.tallies.read()


def test_an_actor_that_hangs_is_replaced_and_its_late_words_are_not_believed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lives, "STUCK_S", 0.0)
    host = world.create("a")
    world.may_show.clear()
    world.say(host, "a", 1, frames.SocketOfferedQr(qr="secret", valid_s=60))
    assert world.showing.wait(PATIENCE_S)
    hanging = world.house.directory.actor("a")
    world.look_thoroughly()
    world.look_thoroughly()
    host.next(frames.Repeat)
    assert world.house.directory.actor("a") != hanging
    assert world.house.tallies.read()[("actors_replaced", "actor_stuck")] == 1
    world.supervisor.tell(tidings.ActorFailed(instance="a", urn=hanging.actor_urn if hanging else ""))
    world.supervisor.ask(tidings.Introduce())
    world.may_show.set()
    monkeypatch.undo()
    world.say(host, "a", 1, frames.SocketPaired(jid="1@s.whatsapp.net", lid=None))
    world.wait("a", lambda view: view.status is Status.INITIALIZING)
    assert ("actors_replaced", "actor_failed") not in world.house.tallies.read()


def test_an_actor_that_answers_its_heartbeat_is_left_alone(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lives, "STUCK_S", 0.0)
    world.connect("a")
    actor = world.house.directory.actor("a")
    assert actor is not None
    for _ in range(5):
        world.look_thoroughly()
        actor.ask(tidings.Introduce())
        world.supervisor.ask(tidings.Introduce())
    assert world.house.directory.actor("a") == actor


def test_what_the_old_receiver_says_late_does_not_disable_the_new_one(tmp_path: Path) -> None:
    asked, moved = Event(), Event()

    def answer(told: Delivery) -> int:
        asked.set()
        return 410 if told.path == "/old" and moved.wait(60) else 200

    world = World(tmp_path, webhook_timeout_s=300.0)
    with Receiver(answer) as receiver:
        host = world.create("a")
        Credentials(world.vault, "a", MAIN).make()
        actor: Any = world.house.directory.actor("a")
        actor.ask(ConfigureEndpoint(endpoint=MAIN, url=receiver.url("/old")))
        world.say(host, "a", 1, frames.SocketOfferedQr(qr="secret", valid_s=60))
        assert asked.wait(60)
        actor.ask(ConfigureEndpoint(endpoint=MAIN, url=receiver.url("/new")))
        moved.set()
        receiver.wait_for(lambda told: told["event"] == "instance.status", path="/new")
        actor.ask(tidings.Introduce())
        (endpoint,) = world.house.directory.endpoints("a")
    world.close()
    assert endpoint.disabled is None


def test_the_supervisor_survives_what_it_cannot_handle(world: World) -> None:
    world.supervisor.tell("nonsense")
    world.connect("a")
    assert world.house.tallies.read()[("supervisor_stumbles", "")] == 1


def test_who_does_not_answer_in_time_keeps_nobody_from_being_brought_back(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.connect("b", world.connect("a"))
    for name in "ab":
        former = world.house.directory.actor(name)
        assert former is not None
        former.stop()
    monkeypatch.setattr(lives, "RESTORE_PATIENCE_S", 0.0)
    monkeypatch.setattr(successors, "RESTORE_PATIENCE_S", 0.0)
    assert world.supervisor.ask(tidings.Restore()) == 2
    for name in "ab":
        world.wait(name, lambda view: view.status is Status.CONNECTED)
    world.supervisor.ask(tidings.Resume())
    for name in "ab":
        world.wait(name, lambda view: view.status is Status.INITIALIZING)
        assert world.log_causes(name) == ["paired", "manager_started"]


def test_a_loss_whose_word_was_lost_is_found(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The actor that failed had a restart in its mailbox."""
    host = world.connect("a")
    world.say(host, "a", 2, frames.SocketEnded(cause="stream_replaced"))
    world.wait("a", lambda view: view.status is Status.INVALID)
    host.next(frames.CloseSocket)
    world.say(host, "a", 2, frames.SocketClosed())
    monkeypatch.setattr(watching, "LOST_PATIENCE_S", 0.0)
    world.look_thoroughly()
    assert world.log_causes("a") == ["paired"], "nobody heals the incurable"
    actor = world.house.directory.actor("a")
    assert actor is not None
    lost = Observed(generation=2, observation=frames.SocketEnded(cause="refused"), at=utc_now())
    world.supervisor.tell(tidings.RestartWanted(instance="a"))
    host = world.born.get(timeout=PATIENCE_S)
    actor.tell(
        tidings.Heard(
            observed=Observed(generation=3, observation=lost.observation, at=utc_now()), number=0, oldest=0, host=host
        )
    )
    world.wait("a", lambda view: view.reason == "refused")
    world.supervisor.tell(tidings.SocketHealthy(instance="a"))
    world.look_thoroughly()
    host.next(frames.CloseSocket)
    assert "refused" in world.log_causes("a")


def test_a_restart_of_which_the_actor_did_not_hear_that_it_is_stored_is_carried_out(world: World) -> None:
    """The old socket stands meanwhile, and nobody believes it any more."""
    host = world.connect("a")
    failing = world.house.directory.actor("a")
    world.mute.mute_on = InstanceRestarted
    world.supervisor.tell(tidings.RestartWanted(instance="a"))
    host.next(frames.CloseSocket)
    assert world.house.directory.actor("a") != failing
    world.say(host, "a", 2, frames.SocketClosed())
    world.open("a", 3, host)
    assert world.log_causes("a") == ["paired", "requested"]


def test_a_removal_of_which_the_actor_did_not_hear_that_it_is_stored_ends_the_socket_and_erases_the_session(
    world: World,
) -> None:
    host = world.connect("a")
    session = world.session("a")
    world.mute.mute_on = InstanceRemoved
    actor = world.house.directory.actor("a")
    assert actor is not None
    with pytest.raises(JournalBroken):
        actor.ask(RemoveInstance(unlink=True))
    assert host.next(frames.CloseSocket).unlink
    world.say(host, "a", 2, frames.SocketClosed(unlinked=True))
    host.next(frames.EndHost)
    assert not session.exists()


def test_a_removal_in_the_middle_of_a_restart_of_which_the_actor_did_not_hear_unlinks_the_device_as_well(
    world: World,
) -> None:
    host = world.connect("a")
    session = world.session("a")
    world.supervisor.tell(tidings.RestartWanted(instance="a"))
    host.next(frames.CloseSocket)
    world.wait("a", lambda view: view.restarts == 1)
    world.mute.mute_on = InstanceRemoved
    actor = world.house.directory.actor("a")
    assert actor is not None
    with pytest.raises(JournalBroken):
        actor.ask(RemoveInstance(unlink=True))
    wait_until(lambda: ("actors_replaced", "actor_failed") in world.house.tallies.read())
    world.supervisor.ask(tidings.Introduce())
    world.say(host, "a", 2, frames.SocketClosed())
    host.next(frames.EndHost)
    other = world.born.get(timeout=PATIENCE_S)
    assert other.next(frames.OpenSocket).generation == 4
    assert other.next(frames.CloseSocket).unlink
    world.say(other, "a", 4, frames.SocketClosed(unlinked=True))
    other.next(frames.EndHost)
    assert not session.exists()


@pytest.mark.parametrize("unlink", [True, False])
def test_a_session_that_the_last_life_had_no_time_to_erase_is_erased_by_the_next(world: World, unlink: bool) -> None:
    world.connect("a")
    actor = world.house.directory.actor("a")
    assert actor is not None
    actor.ask(RemoveInstance(unlink=unlink))
    gone, strange = world.session("a"), world.session("nobody-knows-whose")
    world.supervisor.ask(tidings.Introduce())
    assert gone.exists(), "its socket has not let go of it"
    with another_life(world) as supervisor:
        supervisor.ask(tidings.Restore())
        supervisor.ask(tidings.Resume())
        assert (gone.exists(), strange.exists()) == (not unlink, True)


def test_who_is_deleted_and_has_no_process_to_be_unlinked_by_is_erased_all_the_same(world: World) -> None:
    host = world.connect("a")
    session = world.session("a")
    world.barren = True
    world.say(host, "a", 2, frames.SocketEnded(cause="socket_failed"))
    world.wait("a", lambda view: view.reason == "socket_failed")
    actor = world.house.directory.actor("a")
    assert actor is not None
    actor.ask(RemoveInstance(unlink=True))
    assert host.next(frames.CloseSocket).unlink
    world.supervisor.tell(HostDeath(name=host.name, exit_code=1, signal=None, stderr_tail=""))
    world.supervisor.ask(tidings.Introduce())
    assert not session.exists()


@contextmanager
def another_life(world: World) -> Iterator[Any]:
    """A supervisor who knows only what is in the log and on the disk."""
    supervisor: Any = SupervisorActor.start(world.build)
    supervisor.ask(tidings.Introduce())
    yield supervisor
    supervisor.ask(end_soon())
    supervisor.stop()


def test_the_end_does_not_take_an_actor_for_ended_that_still_writes_its_last_words(world: World) -> None:
    host = world.connect("a")
    actor, written = world.house.directory.actor("a"), Event()
    assert actor is not None
    world.mute.slow_on = (MessageReceived, written)
    world.showing.clear()
    world.may_show.clear()
    world.say(host, "a", 2, frames.SocketOfferedQr(qr="2@", valid_s=60.0))
    assert world.showing.wait(PATIENCE_S)
    world.say(host, "a", 2, received("last"), number=1)
    actor.stop(block=False)
    world.may_show.set()
    try:
        assert world.mute.slowed.acquire(timeout=PATIENCE_S)
        assert not actor.is_alive()
        now = time.monotonic()
        with capture_logs() as logged:
            world.supervisor.ask(tidings.EndAll(hosts_until=now, actors_until=now))
        assert str(actor) in [each.get("actor") for each in logged if each.get("action") == "actor_left"]
    finally:
        written.set()
    world.supervisor.ask(tidings.EndAll(hosts_until=now, actors_until=now + PATIENCE_S))
    assert [each.type for each in world.store.read(stream="a", types={"message.received"})] == ["message.received"]
