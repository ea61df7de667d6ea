"""Manners: how fast a number sends, that it types, what it has read, who is there."""

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from chatbot_erp.sandbox.client import Network, Phone
from manager_process import ManagerProcess
from receiver import Receiver

_numbers = itertools.count(551193000001)
NO_PACING = {"pacing": None}


class World:
    """One manager with one number, for all journeys of this file."""

    def __init__(self, manager: ManagerProcess, receiver: Receiver, network: Network) -> None:
        self.manager = manager
        self.receiver = receiver
        self.network = network
        self.shop = self.phone("Empresa X")
        manager.pair("empresa_x", self.shop, receiver.url())

    def phone(self, name: str = "Maria") -> Phone:
        return self.network.phone(str(next(_numbers)), name=name)

    def ask(self, method: str, path: str, status: int = 204, **settings: Any) -> Any:
        answer = self.manager.call(method, f"/instances/empresa_x{path}", **settings)
        assert answer.status_code == status, answer.text
        return answer.json() if answer.content else None

    def pace(self, **pacing: Any) -> Any:
        return self.ask("PATCH", "", 200, json={"pacing": pacing})["pacing"]

    def told(self, wanted: Callable[[Any], bool], count: int = 1) -> list[Any]:
        return [each.payload for each in self.receiver.wait_for(wanted, count=count)]

    def received(self, sender: Phone, text: str) -> str:
        """Have somebody write; the message's id once it was told."""
        message_id = sender.send(self.shop.number, text)
        self.told(lambda payload: payload.get("whatsapp", {}).get("messageId") == message_id)
        return message_id


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, network: Network) -> Iterator[World]:
    with Receiver() as receiver, ManagerProcess(tmp_path_factory.mktemp("manners") / "data", network) as manager:
        yield World(manager, receiver, network)


@pytest.fixture
def maria(world: World) -> Phone:
    return world.phone()


def test_who_outruns_the_pacing_is_told_when_to_come_again(world: World, maria: Phone) -> None:
    assert world.pace(perMinute=0.1, burst=2) == {"perMinute": 0.1, "burst": 2, "typing": 0}
    answers = [world.manager.send("empresa_x", maria.number, f"n{n}") for n in range(2)]
    answers.append(world.manager.send("empresa_x", maria.number, "n2", headers={"Prefer": "respond-async"}))
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert answers[2].json()["type"] == "/problems/sending-too-fast"
    assert 1 <= int(answers[2].headers["Retry-After"]) <= 750
    assert len(world.manager.events("empresa_x", "message.accepted")) == 2
    changed = world.manager.events("empresa_x", "instance.pacing_configured")[-1]["data"]
    assert changed == {"perMinute": 0.1, "burst": 2, "typingS": 0.0}
    assert world.ask("PATCH", "", 200, json=NO_PACING)["pacing"] is None
    assert world.manager.send("empresa_x", maria.number, "n2").status_code == 200
    maria.receive(text="n2")
    assert [message.text for message in maria.inbox()] == ["n0", "n1", "n2"]


def test_it_is_seen_typing_before_a_text(world: World, maria: Phone) -> None:
    world.pace(typing=0.5)
    assert world.manager.send("empresa_x", maria.number, "pensando…").status_code == 200
    world.ask("PATCH", "", 200, json=NO_PACING)
    assert maria.wait_sign(world.shop.number, "composing")
    maria.receive(text="pensando…")


def test_what_was_read_is_seen_by_who_wrote_it(world: World, maria: Phone) -> None:
    first, *others = [world.received(maria, f"recado {n}") for n in range(3)]
    world.ask("POST", f"/messages/{first}/read")
    assert maria.wait_receipt(first, as_="read").message_id == first
    world.ask("POST", "/messages/read", json={"messageIds": others})
    for message_id in others:
        maria.wait_receipt(message_id, as_="read")
    world.ask("POST", "/messages/read", json={"messageIds": [first], "played": True})
    maria.wait_receipt(first, as_="played")
    unknown = world.ask("POST", "/messages/read", 404, json={"messageIds": [first, "3EB0NOBODY"]})
    assert unknown["type"] == "/problems/message-not-found"


def test_what_was_read_in_a_group_is_seen_by_its_writer(world: World, maria: Phone) -> None:
    group = maria.create_group("Equipe", world.shop.number).jid
    world.told(lambda payload: payload["event"] == "group.joined" and payload["group"]["jid"] == group)
    message_id = maria.say_in_group(group, "reunião às 9")
    world.told(lambda payload: payload.get("whatsapp", {}).get("messageId") == message_id)
    world.ask("POST", f"/messages/{message_id}/read")
    maria.wait_receipt(message_id, as_="read")


def test_it_is_seen_typing_recording_and_stopping_where_it_wants_to_be(world: World, maria: Phone) -> None:
    for state, sign in (("typing", "composing"), ("recording", "recording"), ("paused", "paused")):
        world.ask("POST", f"/chats/{maria.number}/presence", json={"state": state})
        assert maria.wait_sign(world.shop.number, sign)  # type: ignore[arg-type]
    assert world.ask("POST", f"/chats/{maria.number}/presence", 422, json={"state": "dancing"})["errors"]
    nobody = world.ask("POST", "/chats/5511000000009/presence", 404, json={"state": "typing"})
    assert nobody["type"] == "/problems/not-on-whatsapp"


def seen(world: World, state: str, instance: str = "empresa_x") -> Any:
    """What the webhook was told of somebody who is watched."""
    (presence, *_) = world.told(
        lambda payload: (
            payload["event"] == "presence.changed"
            and payload["presence"]["state"] == state
            and payload["instance"]["name"] == instance
        )
    )
    return presence["presence"]


def test_it_hears_when_somebody_who_is_watched_types(world: World, maria: Phone) -> None:
    maria.act(world.shop.number, "composing")
    world.received(maria, "antes")  # what came before it was heard, and nobody watched
    world.ask("POST", f"/contacts/{maria.number}/presence")
    for sign, state in (("composing", "typing"), ("recording", "recording"), ("paused", "paused")):
        maria.act(world.shop.number, sign)  # type: ignore[arg-type]
        assert {seen(world, state)[key] for key in ("jid", "jidAlt")} == {maria.jid, f"{maria.lid}@lid"}
    # Somebody else, whom nobody asked about, leaves no trace.
    other = world.phone()
    other.act(world.shop.number, "composing")
    world.received(other, "oi")
    assert len(world.manager.events("empresa_x", "presence.changed")) == 3


def test_it_comes_and_goes_and_hears_when_somebody_does(world: World, maria: Phone) -> None:
    name, shop = "named", world.phone("Empresa X")
    world.manager.pair(name, shop, world.receiver.url())
    assert world.manager.view(name)["user"]["pushName"] == "Empresa X"
    assert show(world, name, "available") == 204
    maria.watch(shop.number)
    maria.wait_sign(shop.number, "available")
    world.manager.call("POST", f"/instances/{name}/contacts/{maria.number}/presence")
    assert seen(world, "unavailable", name)["lastSeen"]
    maria.show(True)
    assert seen(world, "available", name)["lastSeen"] is None
    assert show(world, name, "unavailable") == 204
    maria.wait_sign(shop.number, "unavailable")


def show(world: World, name: str, state: str) -> int:
    return world.manager.call("PUT", f"/instances/{name}/presence", json={"state": state}).status_code
