"""How much may wait for an instance, and what overtakes it."""

from types import SimpleNamespace

import pytest

from chatbot_erp.actors import frames, tidings
from chatbot_erp.actors.commands import (
    LoseSocket,
    RemoveInstance,
    RestartInstance,
    SendMessage,
)
from chatbot_erp.actors.contents import Text
from chatbot_erp.actors.endpoint import DisableEndpoint, EnableEndpoint
from chatbot_erp.actors.errors import Unavailable
from chatbot_erp.actors.instance_mail import ROOM, ROOM_FOR_REMOVALS, Mailbox
from chatbot_erp.eventstore.records import MAIN
from instance_world import PATIENCE_S, World, received


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


def test_restarts_that_callers_want_have_their_room_and_no_more() -> None:
    box = Mailbox()
    wanted = SimpleNamespace(message=tidings.RestartWanted(instance="i"), reply_to=None)
    for _ in range(ROOM):
        box.put(wanted)
    with pytest.raises(Unavailable):
        box.put(wanted)
    box.get()
    box.put(wanted)
