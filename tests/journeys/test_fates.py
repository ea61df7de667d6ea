"""Sends that nobody waits for: the answer, the fate, and the webhook."""

import itertools
from collections.abc import Iterator
from typing import Any

import pytest

from chatbot_erp.sandbox.client import Network, Phone
from chatbot_erp.sandbox.faults import RefuseSend, SlowAcks
from manager_process import ManagerProcess
from receiver import Receiver

LATER = {"Prefer": "respond-async"}
_numbers = itertools.count(551192000001)


class World:
    """One manager with one number, for all journeys of this file."""

    def __init__(self, manager: ManagerProcess, receiver: Receiver, network: Network) -> None:
        self.manager = manager
        self.receiver = receiver
        self.network = network
        self.shop = self.phone()
        manager.pair("empresa_x", self.shop, receiver.url())
        # The ping to oneself is a send, too: it is to be through before one is refused.
        manager.wait_event("empresa_x", "ping.sent")

    def phone(self) -> Phone:
        return self.network.phone(str(next(_numbers)))

    def accept(self, number: str, text: str, **headers: str) -> Any:
        answer = self.manager.send("empresa_x", number, text, headers=LATER | headers)
        assert answer.status_code == 202, answer.text
        assert answer.headers["Location"] == answer.json()["location"]
        return answer.json()

    def fate(self, location: str) -> Any:
        answer = self.manager.call("GET", location)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def told(self, event: str, command_id: str) -> Any:
        def wanted(payload: Any) -> bool:
            return payload["event"] == event and command_id in str(payload)

        (told,) = self.receiver.wait_for(wanted)
        return told.payload


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, network: Network) -> Iterator[World]:
    with Receiver() as receiver, ManagerProcess(tmp_path_factory.mktemp("fates") / "data", network) as manager:
        yield World(manager, receiver, network)


def test_a_message_nobody_waits_for_is_sent_told_and_followed_until_it_is_read(world: World) -> None:
    customer = world.phone()
    customer.set_policy("none")
    world.shop.fault(SlowAcks(delay_s=600))
    accepted = world.accept(customer.number, "sem pressa")
    assert (accepted["status"], world.fate(accepted["location"])["fate"]) == ("accepted", "accepted")
    world.shop.heal()
    sent = world.told("message.sent", accepted["id"])
    assert sent["commandId"] == accepted["id"]
    message_id = sent["whatsapp"]["messageId"]
    assert customer.receive(text="sem pressa").id == message_id
    assert world.fate(accepted["location"])["fate"] == "sent"
    for ack in ("delivered", "read", "played"):
        customer.acknowledge(message_id, ack)
    world.receiver.wait_for(
        lambda payload: payload["event"] == "message.ack" and payload["whatsapp"]["messageId"] == message_id, count=3
    )
    fate = world.fate(f"/instances/empresa_x/messages/{message_id}")
    assert fate == world.fate(accepted["location"])
    assert (fate["id"], fate["jid"], fate["fate"], fate["status"]) == (accepted["id"], customer.jid, "played", 4)
    steps = ["accepted", "sent", "delivered", "read", "played"]
    assert [step["fate"] for step in fate["steps"]] == steps
    assert [step["at"] for step in fate["steps"]] == sorted(step["at"] for step in fate["steps"])


def test_a_failure_nobody_waited_for_is_told(world: World) -> None:
    nobody = world.accept("5511000000001", "alguém?")
    told = world.told("message.failed", nobody["id"])
    assert (told["failure"]["outcome"], told["failure"]["type"]) == ("failed", "/problems/not-on-whatsapp")
    assert world.fate(nobody["location"])["type"] == "/problems/not-on-whatsapp"

    world.shop.fault(RefuseSend(error=463, times=1))
    locked = world.accept(world.phone().number, "oferta!")
    failed = world.told("message.failed", locked["id"])
    assert failed["failure"]["type"] == "/problems/reachout-locked"
    fate = world.fate(locked["location"])
    assert (fate["fate"], fate["status"], fate["type"]) == ("failed", 0, "/problems/reachout-locked")
    assert [step["fate"] for step in fate["steps"]] == ["accepted", "failed"]


def test_what_whatsapp_refuses_is_acknowledged_as_an_error_once_and_alike_when_it_is_told_again(world: World) -> None:
    customer = world.phone()
    world.shop.fault(RefuseSend(error=463, times=1))
    refused = world.accept(customer.number, "promoção!")
    failed, error = world.told("message.failed", refused["id"]), world.told("message.ack", refused["id"])
    assert error["whatsapp"] == {"jid": customer.jid, "messageId": refused["id"]}
    assert error["ack"] == {"status": 0, "name": "error"}
    assert error["sequence"] == failed["sequence"] + 1
    fate = world.fate(f"/instances/empresa_x/messages/{error['whatsapp']['messageId']}")
    assert (fate["id"], fate["fate"], fate["status"]) == (refused["id"], "failed", 0)

    after = {"after": failed["position"] - 1, "until": error["position"]}
    replay = world.manager.call("POST", "/instances/empresa_x/webhook/replay", json=after)
    assert replay.json()["queued"] == 2, replay.text
    again = world.receiver.wait_for(lambda payload: payload["id"] in (failed["id"], error["id"]), count=4)
    assert [each.payload for each in again] == [failed, error] * 2
    # Whatever else it would be told of the refusal had come before this.
    world.told("message.sent", world.accept(customer.number, "bom dia")["id"])
    assert len(world.receiver.wait_for(lambda payload: refused["id"] in str(payload), count=4)) == 4
    acks = world.manager.events("empresa_x", "message.acknowledged")
    assert [each["data"]["ack"] for each in acks if each["data"]["messageId"] == refused["id"]] == [0]


def test_many_are_taken_at_once_and_sent_in_order_and_a_key_sends_once(world: World) -> None:
    customer = world.phone()
    taken = [
        world.accept(customer.number, f"item {n % 30}", **{"Idempotency-Key": f"item-{n % 30}"}) for n in range(60)
    ]
    assert len({each["id"] for each in taken}) == 30
    world.told("message.sent", taken[29]["id"])
    assert [message.text for message in customer.inbox()] == [f"item {n}" for n in range(30)]


def test_what_was_received_has_a_fate_too(world: World) -> None:
    message_id = world.phone().send(world.shop.number, "bom dia")
    world.receiver.wait_for(lambda payload: payload.get("whatsapp", {}).get("messageId") == message_id)
    fate = world.fate(f"/instances/empresa_x/messages/{message_id}")
    assert (fate["fate"], fate["id"], fate["status"]) == ("received", None, None)


@pytest.mark.parametrize(
    "text", ["\u202eolá\u202c \u05e9\u05dc\u05d5\u05dd", "👩‍👩‍👧\ufeff\U0010ffff", "a\0b", "👋" * 65_536], ids=len
)
def test_any_text_goes_out_unchanged(world: World, text: str) -> None:
    customer = world.phone()
    answer = world.manager.send("empresa_x", customer.number, text)
    assert answer.status_code == 200, answer.text
    message_id = answer.json()["messageId"]
    (received,) = customer.inbox()
    assert (received.id, received.text) == (message_id, text)
    (told,) = world.receiver.wait_for(
        lambda payload: payload["event"] == "message.sent" and payload["whatsapp"]["messageId"] == message_id
    )
    assert told.payload["message"]["text"] == text


def test_half_a_character_is_refused_with_a_reason(world: World) -> None:
    body = b'{"number": "5511999999999", "message": "x\\ud800y"}'
    answer = world.manager.call("POST", "/instances/empresa_x/message", data=body)
    assert (answer.status_code, answer.json()["type"]) == (400, "/problems/malformed-json")
    assert "surrogate" in answer.json()["detail"]
