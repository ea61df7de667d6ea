"""The supervisor and sockets: where they are opened, what becomes of them and of the processes they are in."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from queue import Empty

import pytest
from structlog.testing import capture_logs

from chatbot_erp.actors import frames, hosts, leftovers, tidings
from chatbot_erp.actors.commands import CreateInstance, RemoveInstance
from chatbot_erp.actors.host_process import HostDeath
from chatbot_erp.actors.house import utc_now
from chatbot_erp.actors.spool import write_spool
from chatbot_erp.actors.state import Farewell
from chatbot_erp.eventstore.events import Status
from fake_sockets import received
from supervisor_world import PATIENCE_S, World
from waiting import wait_until


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    yield world
    world.close()


def test_a_new_socket_waits_until_the_old_one_has_let_go_of_the_session(world: World) -> None:
    host = world.connect("a")
    world.supervisor.tell(tidings.RestartWanted(instance="a"))
    host.next(frames.CloseSocket)
    world.supervisor.tell(tidings.RestartWanted(instance="a"))
    world.supervisor.ask(tidings.Introduce())
    world.wait("a", lambda view: view.restarts == 2)
    world.supervisor.ask(tidings.Introduce())
    with pytest.raises(Empty):
        host.orders.get_nowait()
    world.say(host, "a", 2, frames.SocketClosed())
    assert host.next(frames.OpenSocket).generation == 4


def test_a_number_that_is_banned_for_a_time_is_left_alone_until_then_whatever_happens_around_it(world: World) -> None:
    host = world.connect("a")
    until = utc_now() + timedelta(hours=1)
    world.say(host, "a", 2, frames.SocketEnded(cause="temporarily_banned", retry_at=until))
    host.next(frames.CloseSocket)
    world.say(host, "a", 2, frames.SocketClosed())
    world.supervisor.tell(HostDeath(name=host.name, exit_code=None, signal=9, stderr_tail=""))
    failing = world.house.directory.actor("a")
    assert failing is not None
    failing.tell("nonsense")
    world.wait("a", lambda _: world.house.directory.actor("a") not in (None, failing))
    # The word of an older plan, which was on its way when the ban came.
    world.supervisor.tell(tidings.RestartDue(instance="a", number=0))
    world.supervisor.ask(tidings.Introduce())
    view = world.house.directory.view("a")
    assert (view.reason, view.retry_at) == ("temporarily_banned", until)
    assert view.next_try_at is not None
    assert abs(view.next_try_at - until) < timedelta(minutes=1)
    assert world.log_causes("a") == ["paired"]
    assert world.born.empty()


def test_a_ban_outlasts_the_recycling_of_its_host(world: World) -> None:
    host = world.connect("a")
    world.connect("b", host)
    until = utc_now() + timedelta(hours=1)
    world.say(host, "a", 2, frames.SocketEnded(cause="temporarily_banned", retry_at=until))
    assert host.next(frames.CloseSocket).instance == "a"
    world.say(host, "a", 2, frames.SocketClosed())
    host.vitals = frames.Alive(rss_bytes=world.config.host_memory_bytes + 1, descriptors=1)
    world.supervisor.tell(tidings.Look())
    assert host.next(frames.CloseSocket).instance == "b"
    world.say(host, "b", 2, frames.SocketClosed())
    other = world.open("b", 3)
    host.next(frames.EndHost)
    world.supervisor.tell(HostDeath(name=host.name, exit_code=0, signal=None, stderr_tail=""))
    world.supervisor.ask(tidings.Introduce())
    assert world.house.directory.view("a").retry_at == until
    (ring,) = world.alarms.long
    ring()
    world.open("a", 3, other)
    assert world.log_causes("a") == ["paired", "temporarily_banned"]


def test_where_no_process_can_be_had_it_is_tried_again(world: World) -> None:
    host = world.connect("a")
    world.barren = True
    world.supervisor.tell(HostDeath(name=host.name, exit_code=None, signal=9, stderr_tail=""))
    world.wait("a", lambda view: (view.status, view.reason) == (Status.DISCONNECTED, "socket_failed"))
    world.barren = False
    generation = world.born.get(timeout=PATIENCE_S).next(frames.OpenSocket).generation
    assert generation >= 4


def test_whether_a_process_can_be_had_is_asked_only_while_somebody_wants_one(world: World) -> None:
    """The question has it loaded, in vain perhaps."""
    world.ready.clear()
    actor = world.supervisor.ask(tidings.StartInstance(instance="a", name="a"))
    actor.ask(CreateInstance(name="a", webhook_url=world.webhook_url, session_from=None))
    wait_until(lambda: world.questions >= 3)
    world.supervisor.ask(tidings.Introduce())
    world.supervisor.tell(tidings.EndSocketOf(instance="a", unlink=False, erase=True))
    world.supervisor.ask(tidings.Introduce())
    asked = world.questions
    world.supervisor.tell(tidings.StartsDue())
    world.supervisor.ask(tidings.Introduce())
    assert world.questions == asked
    assert world.born.empty()


def test_one_that_is_removed_before_it_had_a_process_leaves_its_session_to_the_next_of_its_name(world: World) -> None:
    world.session("a")
    world.ready.clear()
    actor = world.supervisor.ask(tidings.StartInstance(instance="b", name="shop"))
    actor.ask(CreateInstance(name="shop", webhook_url=world.webhook_url, session_from="a"))
    wait_until(lambda: world.questions >= 1)
    actor.ask(RemoveInstance(unlink=False))
    next_one = world.supervisor.ask(tidings.StartInstance(instance="c", name="shop"))
    next_one.ask(CreateInstance(name="shop", webhook_url=world.webhook_url, session_from="b"))
    world.ready.set()
    opened = world.born.get(timeout=PATIENCE_S).next(frames.OpenSocket)
    assert opened.instance == "c"
    assert [path.name for path in Path(opened.session).parent.iterdir()] == ["c.db"]


def removed(world: World, *instances: str) -> None:
    """What the removal of numbers does that have a link and no socket."""
    for each in instances:
        farewell = Farewell(generation=9, session_from=None)
        world.supervisor.tell(tidings.EndSocketOf(instance=each, unlink=True, erase=True, farewell=farewell))


def test_of_many_that_are_unlinked_by_a_socket_of_their_own_some_wait_for_the_others(world: World) -> None:
    removed(world, *"abcdef")
    hosts = [world.born.get(timeout=PATIENCE_S) for _ in range(2)]
    opened = [host.next(frames.OpenSocket).instance for host in hosts for _ in range(2)]
    world.supervisor.ask(tidings.Introduce())
    assert opened == list("abcd")
    assert world.born.empty()
    world.supervisor.tell(tidings.SocketIsClosed(instance="b", host=hosts[0].name, unlinked=True))
    assert hosts[0].next(frames.OpenSocket).instance == "e"


def test_a_number_is_unlinked_and_erased_when_there_is_a_process_for_that_whatever_is_said_of_it_until_then(
    world: World,
) -> None:
    sessions = {each: world.session(each) for each in "abcdef"}
    world.ready.clear()
    removed(world, *sessions)
    for each in sessions:
        # Its webhooks have told everything; and its actor, which failed, has a successor.
        world.supervisor.tell(tidings.ForgetInstance(instance=each))
        world.supervisor.tell(tidings.EndSocketOf(instance=each, unlink=True, erase=True))
    world.supervisor.ask(tidings.Introduce())
    assert world.born.empty()
    assert all(session.exists() for session in sessions.values())
    world.ready.set()
    hosts = [world.born.get(timeout=PATIENCE_S) for _ in range(2)]
    for host, each in zip([hosts[0], hosts[0], hosts[1], hosts[1]], "abcd", strict=True):
        assert host.next(frames.OpenSocket).instance == each
        assert host.next(frames.CloseSocket).unlink
        world.supervisor.tell(tidings.SocketIsClosed(instance=each, host=host.name, unlinked=True))
        world.supervisor.ask(tidings.Introduce())
        assert not sessions[each].exists()


def test_a_session_that_cannot_be_erased_keeps_nobody_from_hearing_that_there_is_no_process(world: World) -> None:
    host = world.connect("a")
    world.session("a")
    farewell = Farewell(generation=2, session_from="a")
    world.supervisor.tell(tidings.EndSocketOf(instance="c", unlink=True, erase=True, farewell=farewell))
    world.supervisor.tell(tidings.RestartWanted(instance="a"))
    host.next(frames.CloseSocket)
    world.wait("a", lambda view: view.restarts == 1)
    world.supervisor.ask(tidings.Introduce())

    def fail(session: Path) -> None:
        raise RuntimeError("can't start new thread")

    world.barren, world.keep_names = True, fail
    world.supervisor.tell(HostDeath(name=host.name, exit_code=None, signal=9, stderr_tail=""))
    world.wait("a", lambda view: (view.status, view.reason) == (Status.DISCONNECTED, "socket_failed"))
    world.supervisor.ask(tidings.Introduce())
    assert world.house.tallies.read()[("supervisor_stumbles", "")] == 1


def test_a_host_that_dies_takes_its_numbers_to_another_and_its_last_words_into_the_log_without_whose_they_are(
    world: World,
) -> None:
    host = world.connect("a")
    last = "panic: no session with 5591987654321:7@s.whatsapp.net and 300000000000003@lid"
    with capture_logs() as lines:
        world.supervisor.tell(HostDeath(name=host.name, exit_code=None, signal=9, stderr_tail=last))
        world.open("a", 3)
    (line,) = [each for each in lines if each.get("action") == "host_died"]
    assert line["stderr_tail"] == "panic: no session with (number) and (number)"
    assert world.log_causes("a") == ["paired", "host_died"]
    assert world.house.tallies.read()[("hosts_lost", "host_died")] == 1


def test_what_was_in_mid_send_in_a_socket_that_was_being_closed_is_in_doubt_when_its_host_dies(world: World) -> None:
    host = world.connect("a")
    world.send("a", "before")
    host.next(frames.Transmit)
    world.supervisor.tell(tidings.RestartWanted(instance="a"))
    host.next(frames.CloseSocket)
    world.supervisor.tell(HostDeath(name=host.name, exit_code=None, signal=9, stderr_tail=""))
    world.open("a", 3)
    world.send("a", "after")
    assert world.house.directory.view("a").pending == ("after",)
    (unknown,) = world.store.read(stream="a", types={"message.outcome_unknown"}, limit=100)
    assert (unknown.event.command_id, unknown.event.reason) == ("before", "host_died")  # type: ignore[attr-defined]
    assert world.log_causes("a") == ["paired", "requested"], "the loss itself is nothing new"
    assert ("hosts_lost", "host_died") not in world.house.tallies.read()


def test_a_host_that_says_nothing_is_killed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    host = world.connect("a")
    monkeypatch.setattr(hosts, "SILENCE_S", -1.0)
    world.supervisor.tell(tidings.Look())
    assert host.killed.wait(PATIENCE_S)
    world.supervisor.tell(HostDeath(name=host.name, exit_code=None, signal=9, stderr_tail=""))
    world.wait("a", lambda view: view.status is not Status.CONNECTED)
    world.open("a", 3)
    assert world.log_causes("a") == ["paired", "host_hung"]


def test_how_the_library_sees_a_connection_is_asked_now_and_then_and_one_without_a_login_is_made_anew(
    world: World,
) -> None:
    """The library says nothing of it by itself."""
    host = world.connect("a")
    world.look_thoroughly()
    assert host.next(frames.Repeat).instance == "a"
    world.say(host, "a", 2, frames.SocketStands(connected=True, logged_in=False))
    host.next(frames.CloseSocket)
    world.say(host, "a", 2, frames.SocketClosed())
    assert host.next(frames.OpenSocket).generation == 3
    assert world.log_causes("a") == ["paired", "zombie"]


def test_a_manager_that_was_held_up_itself_kills_nobody(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a suspended machine or a swapped-out process the words of the hosts are there, but nobody has read them."""
    host = world.connect("a")
    host.last_alive -= 100
    monkeypatch.setattr(hosts, "LATE_S", -1.0)
    world.supervisor.tell(tidings.Look())
    world.supervisor.ask(tidings.Introduce())
    assert not host.killed.is_set()


def test_what_a_host_spooled_when_it_ended_is_not_left_for_the_next_life(world: World) -> None:
    """The log took nothing while it ended."""
    host = world.connect("a")
    words = [frames.Said(instance="a", generation=2, number=1, observation=received("in hand"))]
    spool = write_spool(world.config.data_dir, f"{host.name}-1", words)
    world.supervisor.tell(HostDeath(name=host.name, exit_code=0, signal=None, stderr_tail=""))
    world.open("a", 3)
    wait_until(lambda: not spool.exists())
    assert [each.event.text for each in world.store.read(types={"message.received"})] == ["in hand"]  # type: ignore[attr-defined]


def test_what_a_host_spooled_is_taken_when_its_actor_is_there_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leftovers, "AGAIN_S", 0.01)
    host = world.connect("a")
    failed = world.house.directory.actor("a")
    assert failed is not None
    failed.stop()
    words = [frames.Said(instance="a", generation=2, number=1, observation=received("in hand"))]
    spool = write_spool(world.config.data_dir, f"{host.name}-1", words)
    leftovers.take_beside(world.house, host.name)
    world.supervisor.tell(tidings.RestartWanted(instance="a"))
    wait_until(lambda: not spool.exists())
    assert [each.event.text for each in world.store.read(types={"message.received"})] == ["in hand"]  # type: ignore[attr-defined]


def test_of_a_ban_without_a_time_it_is_seen_when_it_is_tried(world: World) -> None:
    host = world.connect("a")
    world.say(host, "a", 2, frames.SocketEnded(cause="temporarily_banned"))
    view = world.wait("a", lambda view: view.next_try_at)
    assert (view.reason, view.retry_at) == ("temporarily_banned", None)
    world.supervisor.tell(tidings.RestartWanted(instance="a"))
    world.wait("a", lambda view: view.next_try_at is None and view.status is Status.INITIALIZING)
