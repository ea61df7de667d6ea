"""The supervisor where several nodes share the log: numbers that go to another one."""

from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from threading import Event, Semaphore
from typing import cast

import pytest
from msgspec import structs
from pytest_httpserver import HTTPServer
from structlog.testing import capture_logs
from werkzeug import Request, Response

from chatbot_erp.actors import frames, moves, tidings
from chatbot_erp.actors.callers import Verdict
from chatbot_erp.actors.commands import ConfigurePacing, CreateInstance, SendMessage
from chatbot_erp.actors.contents import Text
from chatbot_erp.actors.endpoint import ConfigureEndpoint
from chatbot_erp.actors.house import utc_now
from chatbot_erp.actors.leftovers import take_spools
from chatbot_erp.actors.moves import AT_ONCE
from chatbot_erp.actors.pacing import Pacing
from chatbot_erp.actors.spool import read_spools, write_spool
from chatbot_erp.actors.webhook_credentials import Credentials
from chatbot_erp.eventstore.events import MessageAccepted, MessageFailed, Status
from chatbot_erp.eventstore.lease import boot_time
from chatbot_erp.eventstore.placement import Placement
from chatbot_erp.eventstore.records import MAIN
from fake_sockets import received
from moves_world import Fellows, going, gone_to_another_node
from supervisor_world import PATIENCE_S, FakeHost, World
from waiting import wait_until


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path, webhook_timeout_s=10 * PATIENCE_S)
    yield world
    world.close()


def test_a_number_goes_to_another_node_when_what_is_on_its_way_has_ended_and_all_it_heard_is_in_the_log(
    world: World,
) -> None:
    fellows = world.store.company = Fellows()
    host = world.connect("a")
    world.send("a", "c-1")
    world.supervisor.tell(going("a"))
    host.next(frames.Transmit)
    wait_until(lambda: world.house.directory.is_leaving("a"))
    assert host.orders.empty()  # not before there is a verdict
    sent = frames.SocketSent(
        command_id="c-1", message_id="M", jid="551@s.whatsapp.net", sent_at=utc_now(), kind="text", text="Olá"
    )
    world.say(host, "a", 2, sent, number=1)
    assert not host.next(frames.CloseSocket).unlink
    world.supervisor.tell(going("a"))  # told again, it begins nothing anew
    world.say(host, "a", 2, received("last"), number=2)
    assert fellows.given.empty()
    world.say(host, "a", 2, frames.SocketClosed())
    assert fellows.given.get(timeout=PATIENCE_S) == "a"
    assert not world.house.directory.has("a")
    told = [each.type for each in world.store.read(stream="a", types={"message.sent", "message.received"})]
    assert told == ["message.sent", "message.received"]


class Gate:
    """One at a time is let through, by the test."""

    def __init__(self) -> None:
        self._turns = Semaphore(0)

    def wait(self, timeout: float) -> bool:
        return self._turns.acquire(timeout=timeout)

    def let_one_through(self) -> None:
        self._turns.release()

    def set(self) -> None:
        self._turns.release(100)


@pytest.mark.parametrize("by_itself", [False, True])
def test_a_number_is_let_go_of_only_when_the_last_words_of_its_actor_are_in_the_log_however_that_ends(
    world: World, monkeypatch: pytest.MonkeyPatch, *, by_itself: bool
) -> None:
    monkeypatch.setattr(moves, "LOOK_EVERY_S", 3600.0)
    fellows = world.store.company = Fellows()
    host = world.connect("a")
    actor = world.house.directory.actor("a")
    assert actor is not None
    gate, written, verdict = Gate(), Event(), Future[Verdict]()
    world.may_show, world.mute.slow_on = cast(Event, gate), (MessageAccepted, written)

    def look() -> bool:
        """Whether it is given away when it was looked at."""
        world.supervisor.tell(tidings.LookAtLeaving(instance="a"))
        world.supervisor.ask(tidings.Introduce())
        return not fellows.given.empty()

    def hold_up_the_actor() -> None:
        world.showing.clear()
        world.say(host, "a", 2, frames.SocketOfferedQr(qr="2@", valid_s=60.0))

    world.supervisor.tell(going("a"))
    wait_until(lambda: look() or any(isinstance(order, frames.CloseSocket) for order in list(host.orders.queue)))
    world.say(host, "a", 2, frames.SocketClosed())
    hold_up_the_actor()
    assert world.showing.wait(PATIENCE_S)
    look()  # asks whether all is in the log
    hold_up_the_actor()
    command = SendMessage(command_id="c-1", number="551", content=Text(text="late"))
    actor.tell(tidings.Deliver(command=command, caller=verdict))
    gate.let_one_through()
    assert world.showing.wait(PATIENCE_S)
    if by_itself:
        actor.stop(block=False)
    else:
        look()  # hears that it is, and stops the actor
    gate.let_one_through()
    assert world.mute.slowed.acquire(timeout=PATIENCE_S)
    assert not any(look() for _ in range(3))
    written.set()
    wait_until(look)
    assert isinstance(verdict.result(0), MessageFailed)
    words = world.store.read(stream="a", types={"message.accepted", "message.failed"}, limit=9)
    assert [each.type for each in words] == ["message.accepted", "message.failed"]


def test_a_number_whose_receiver_is_slow_works_until_that_has_answered_and_is_in_nobodys_way(world: World) -> None:
    fellows = world.store.company = Fellows()
    slow, came, end = [f"slow-{n}" for n in range(AT_ONCE + 1)], Semaphore(0), Event()

    def hang(request: Request) -> Response:
        came.release()
        end.wait(PATIENCE_S)
        return Response()

    def is_leaving(name: str) -> bool:
        world.supervisor.tell(going(*slow, "fast"))
        return world.house.directory.is_leaving(name)

    with HTTPServer(threaded=True) as receiver:
        receiver.expect_request("/").respond_with_handler(hang)
        host, world.webhook_url = None, receiver.url_for("/")
        try:
            for n, name in enumerate(slow):
                Credentials(world.vault, name, MAIN).make()
                host = world.connect(name, host if n % 2 else None)
                world.say(host, name, 2, received("Olá"), number=1)
            fast = world.connect("fast", host)
            assert all(came.acquire(timeout=PATIENCE_S) for _ in slow)
            world.supervisor.tell(going(*slow, "fast"))
            world.supervisor.ask(tidings.Introduce())
            assert not any(map(world.house.directory.is_leaving, slow))
            wait_until(lambda: is_leaving("fast"))
            fast.next(frames.CloseSocket)
            world.say(fast, "fast", 2, frames.SocketClosed())
            assert fellows.given.get(timeout=PATIENCE_S) == "fast"
        finally:
            end.set()
        wait_until(lambda: sum(map(world.house.directory.is_leaving, slow)) == AT_ONCE)


def test_a_number_whose_deliveries_have_not_ended_is_healed_and_restarted_before_it_goes(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(moves, "PENDING_PATIENCE_S", 10 * PATIENCE_S)
    fellows, came, end = Fellows(), Event(), Event()
    world.store.company = fellows

    def hang(request: Request) -> Response:
        came.set()
        end.wait(PATIENCE_S)
        return Response()

    with HTTPServer(threaded=True) as receiver:
        receiver.expect_request("/").respond_with_handler(hang)
        world.webhook_url = receiver.url_for("/")
        Credentials(world.vault, "a", MAIN).make()
        try:
            host = world.connect("a")
            world.say(host, "a", 2, received("Olá"), number=1)
            assert came.wait(PATIENCE_S)
            world.supervisor.tell(going("a"))
            world.supervisor.tell(tidings.RestartWanted(instance="a"))
            host.next(frames.CloseSocket)
            world.say(host, "a", 2, frames.SocketClosed())
            host = world.open("a", 3, host)
            actor = world.house.directory.actor("a")
            assert actor is not None
            actor.stop()
            world.supervisor.tell(tidings.RestartWanted(instance="a"))
            world.supervisor.ask(tidings.Introduce())
            assert world.house.directory.actor("a") is not actor
            assert fellows.given.empty()
        finally:
            end.set()
        wait_until(lambda: world.house.directory.is_leaving("a") or not fellows.given.empty())
    assert world.log_causes("a")[:2] == ["paired", "requested"]


def has_much_to_send(world: World, name: str, host: FakeHost | None = None) -> FakeHost:
    """A number with more messages than would be sent in the time that it may take to go, and its host."""
    host = world.connect(name, host)
    send_much(world, name)
    return host


def send_much(world: World, name: str) -> None:
    actor = world.house.directory.actor(name)
    assert actor is not None
    actor.ask(ConfigurePacing(pacing=Pacing(typing_s=0.75 * moves.PENDING_PATIENCE_S - moves.SEND_S)))
    for number in range(2):
        world.send(name, f"c-{number}")
    world.wait(name, lambda view: len(view.pending) == 2)


@pytest.mark.parametrize("is_ending", [False, True])
def test_a_number_that_has_much_to_send_or_shows_a_code_goes_to_another_node_later_unless_this_one_ends(
    world: World, *, is_ending: bool
) -> None:
    fellows = world.store.company = Fellows()
    busy, shown = has_much_to_send(world, "busy"), world.create("shown")
    world.say(shown, "shown", 1, frames.SocketOfferedQr(qr="2@", valid_s=60.0))
    world.wait("shown", lambda view: view.status is Status.SCAN_QR_CODE)
    world.is_ending = is_ending
    world.connect("idle", busy)
    all_of_them = going("busy", "shown", "idle")
    world.supervisor.tell(all_of_them)
    assert busy.next(frames.CloseSocket).instance == "idle"
    world.say(busy, "idle", 2, frames.SocketClosed())
    assert fellows.given.get(timeout=PATIENCE_S) == "idle"
    if not is_ending:
        assert not any(isinstance(order, frames.CloseSocket) for order in list(shown.orders.queue))
        assert not world.house.directory.is_leaving("busy")
        failed = frames.SocketFailedToSend(command_id="c-0", reason="refused", detail="on purpose")
        world.say(busy, "busy", 2, failed, number=1)
        world.wait("busy", lambda view: len(view.pending) == 1)
        world.supervisor.tell(all_of_them)
    wait_until(lambda: world.house.directory.is_leaving("busy"))
    if is_ending:
        shown.next(frames.CloseSocket)


def test_where_a_number_cannot_go_for_long_one_that_has_nothing_to_do_goes_instead(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(moves, "INSTEAD_AFTER_S", 0.0)
    fellows = world.store.company = Fellows()
    busy = has_much_to_send(world, "busy")
    world.connect("sends", busy)
    world.send("sends", "c-9")
    world.wait("sends", lambda view: view.pending)
    world.connect("fixed", world.connect("idle"))
    shown = world.create("shown")
    world.say(shown, "shown", 1, frames.SocketOfferedQr(qr="2@", valid_s=60.0))
    world.wait("shown", lambda view: view.status is Status.SCAN_QR_CODE)
    stay = (Placement("sends", "here"), Placement("shown", "here"), Placement("fixed", "here", fixed=True))
    mine = (Placement("busy", "here", "there"), *stay, Placement("idle", "here"))
    with capture_logs() as logged:
        world.supervisor.tell(tidings.Placements(mine=mine))
        world.supervisor.tell(tidings.Placements(mine=mine))
        world.supervisor.ask(tidings.Introduce())
    assert fellows.exchanged == 2 * [("busy", "idle")]
    told = [each["action"] for each in logged if each.get("instance") == "busy"]
    assert told == ["departure_put_off", "departure_exchanged", "departure_exchanged"]


def test_a_number_that_has_much_to_send_by_the_time_its_deliveries_have_ended_stays_and_delivers_on(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(moves, "PENDING_PATIENCE_S", 10 * PATIENCE_S)
    world.store.company = Fellows()
    came, came_there, end = Semaphore(0), Semaphore(0), Event()

    def hang(request: Request) -> Response:
        came.release()
        end.wait(PATIENCE_S)
        return Response()

    def come_there(request: Request) -> Response:
        came_there.release()
        return Response()

    with HTTPServer(threaded=True) as receiver:
        receiver.expect_request("/").respond_with_handler(hang)
        receiver.expect_request("/there").respond_with_handler(come_there)
        world.webhook_url = receiver.url_for("/")
        for endpoint in (MAIN, "there"):
            Credentials(world.vault, "a", endpoint).make()
        try:
            host = world.connect("a")
            world.say(host, "a", 2, received("Olá"), number=1)
            assert came.acquire(timeout=PATIENCE_S)
            world.supervisor.tell(going("a"))
            world.supervisor.ask(tidings.Introduce())
            send_much(world, "a")
            actor = world.house.directory.actor("a")
            assert actor is not None
            actor.ask(ConfigureEndpoint(endpoint="there", url=receiver.url_for("/there")))
        finally:
            end.set()
        world.say(host, "a", 2, received("ainda"), number=2)
        assert came.acquire(timeout=PATIENCE_S)
        assert came_there.acquire(timeout=PATIENCE_S)
        assert not world.house.directory.is_leaving("a")
        failed = frames.SocketFailedToSend(command_id="c-0", reason="refused", detail="on purpose")
        world.say(host, "a", 2, failed, number=3)
        world.wait("a", lambda view: len(view.pending) == 1)
        world.supervisor.tell(going("a"))
        wait_until(lambda: world.house.directory.is_leaving("a"))


def test_numbers_that_still_send_while_their_node_ends_are_in_nobodys_way(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(moves, "PENDING_PATIENCE_S", 10 * PATIENCE_S)
    fellows = world.store.company = Fellows()
    busy = [f"busy-{n}" for n in range(AT_ONCE)]
    world.is_ending, host = True, None
    for n, name in enumerate(busy):
        host = world.connect(name, host if n % 2 else None)
        world.send(name, f"c-{n}")
        world.wait(name, lambda view: view.pending)
    idle = world.connect("idle")
    world.supervisor.tell(going(*busy))
    wait_until(lambda: all(map(world.house.directory.is_leaving, busy)))

    def goes() -> bool:
        world.supervisor.tell(going(*busy, "idle"))
        return world.house.directory.is_leaving("idle")

    wait_until(goes)
    idle.next(frames.CloseSocket)
    world.say(idle, "idle", 2, frames.SocketClosed())
    assert fellows.given.get(timeout=PATIENCE_S) == "idle"
    assert all(map(world.house.directory.is_leaving, busy))


def test_what_a_number_loses_while_it_goes_is_not_made_good_here_when_it_has_gone(world: World) -> None:
    fellows = world.store.company = Fellows()
    host = world.connect("a")
    world.supervisor.tell(going("a"))
    host.next(frames.CloseSocket)
    retry_at = utc_now() + timedelta(hours=2)
    world.supervisor.tell(tidings.SocketLost(instance="a", cause="temporarily_banned", retry_at=retry_at))
    world.say(host, "a", 2, frames.SocketClosed())
    assert fellows.given.get(timeout=PATIENCE_S) == "a"
    world.supervisor.ask(tidings.Introduce())
    (due,) = world.alarms.long
    due()
    world.supervisor.ask(tidings.Introduce())
    assert ("restarts", "temporarily_banned") not in world.house.tallies.read()


def test_what_another_node_has_by_now_gets_no_actor_in_its_place_here(world: World) -> None:
    fellows = world.store.company = Fellows()
    world.connect("a")
    fellows.gone.add("a")
    actor = world.house.directory.actor("a")
    assert actor is not None
    actor.stop()
    world.supervisor.tell(tidings.RestartWanted(instance="a"))
    world.supervisor.ask(tidings.Introduce())
    assert world.house.directory.actor("a") is actor
    fellows.gone.discard("a")
    world.supervisor.tell(tidings.RestartWanted(instance="a"))
    world.supervisor.ask(tidings.Introduce())
    assert world.house.directory.actor("a") is not actor


def test_what_a_process_has_left_of_a_number_that_is_elsewhere_by_then_is_kept_for_there(world: World) -> None:
    gone_to_another_node(world)
    late = frames.Said(instance="a", generation=2, number=9, observation=received("late"))
    gone = frames.Said(instance="removed", generation=2, number=1, observation=received("moot"))
    kept = write_spool(world.config.data_dir, "old", [late])
    write_spool(world.config.data_dir, "older", [gone])
    sharing = replace(world.house, config=structs.replace(world.config, share=True))
    assert not take_spools(sharing)
    assert take_spools(world.house), "whoever shares with nobody has nothing to wait for in this life"
    assert [spool.path for spool in read_spools(world.config.data_dir)] == [kept]


def test_what_a_process_has_left_of_a_number_that_just_goes_is_kept_without_alarm(world: World) -> None:
    world.store.company = Fellows()
    world.connect("a")
    actor = world.house.directory.actor("a")
    assert actor is not None
    actor.stop()
    write_spool(
        world.config.data_dir, "old", [frames.Said(instance="a", generation=2, number=9, observation=received("late"))]
    )
    sharing = replace(world.house, config=structs.replace(world.config, share=True))
    with capture_logs() as logged:
        assert not take_spools(sharing)
    assert len(list(read_spools(world.config.data_dir))) == 1
    assert [each["log_level"] for each in logged if "spool" in each["action"]] == ["info", "info"]


def test_what_a_process_still_says_of_a_number_that_has_gone_is_set_aside_for_there_and_not_confirmed(
    world: World,
) -> None:
    world.store.company = Fellows()
    host = world.connect("a")
    world.connect("b", host)
    world.supervisor.tell(tidings.Placements(mine=(Placement("a", "here", "there"), Placement("b", "here"))))
    host.next(frames.CloseSocket)
    world.say(host, "a", 2, frames.SocketClosed())
    # Whatever it holds of it that the log had refused.
    assert host.next(frames.SetAside).instance == "a"
    world.say(host, "a", 2, received("late"), number=9)
    orders = iter(lambda: host.orders.get(timeout=PATIENCE_S), None)
    order = next(each for each in orders if isinstance(each, frames.SetAside | frames.Confirm))
    assert order == frames.SetAside(instance="a")


def test_no_process_is_begun_in_a_lease_that_has_lapsed(world: World) -> None:
    fellows = world.store.company = Fellows()
    fellows.until = boot_time() - 1
    actor = world.supervisor.ask(tidings.StartInstance(instance="a", name="a"))
    actor.ask(CreateInstance(name="a", webhook_url="http://127.0.0.1:9/", session_from=None))
    world.supervisor.tell(tidings.StartsDue())
    world.supervisor.ask(tidings.Introduce())
    assert world.born.empty()
    fellows.until = boot_time() + 3600
    assert world.born.get(timeout=PATIENCE_S).next(frames.OpenSocket).instance == "a"
