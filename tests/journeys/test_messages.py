"""Messages both ways, and what the webhook is told of them."""

import os
import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import requests
import standardwebhooks
import svix.webhooks

from chatbot_erp.sandbox.client import Network, Phone
from chatbot_erp.sandbox.faults import RefuseSend, Silence, SlowAcks
from manager_process import ManagerProcess
from receiver import Delivery, Receiver

NewPhone = Callable[[str], Phone]


def test_a_message_is_sent_delivered_read_and_told(
    manager: ManagerProcess, receiver: Receiver, new_phone: NewPhone
) -> None:
    customer = new_phone("Maria")
    created = manager.pair("empresa_x", new_phone("Empresa X"), receiver.url())
    answer = manager.send("empresa_x", customer.number, "Olá! 👋")
    assert answer.status_code == 200, answer.text
    sent = answer.json()
    assert sent["status"] == 1
    assert sent["jid"] == customer.jid
    assert customer.receive(text="Olá! 👋").id == sent["messageId"]

    (told,) = receiver.wait_for(lambda payload: payload["event"] == "message.sent")
    assert told.payload["instance"] == {"id": created["id"], "name": "empresa_x"}
    assert told.payload["whatsapp"] == {"jid": customer.jid, "messageId": sent["messageId"]}
    assert told.payload["message"] == {"type": "text", "text": "Olá! 👋"}
    acks = receiver.wait_for(lambda payload: payload["event"] == "message.ack", count=2)
    assert [ack.payload["ack"] for ack in acks] == [
        {"status": 2, "name": "delivered"},
        {"status": 3, "name": "read"},
    ]
    assert {ack.payload["whatsapp"]["messageId"] for ack in acks} == {sent["messageId"]}


def test_a_received_message_is_told_with_everything_it_carries(
    manager: ManagerProcess, receiver: Receiver, new_phone: NewPhone
) -> None:
    shop, customer = new_phone("Empresa X"), new_phone("Maria")
    manager.pair("empresa_x", shop, receiver.url())
    message_id = customer.send(shop.number, "Quero um orçamento")
    (told,) = receiver.wait_for(lambda payload: payload["event"] == "message.received")
    assert told.payload["whatsapp"] == {
        "jid": f"{customer.lid}@lid",
        "jidAlt": customer.jid,
        "messageId": message_id,
        "pushName": "Maria",
    }
    message = told.payload["message"]
    assert (message["type"], message["text"]) == ("text", "Quero um orçamento")
    assert message["raw"]["conversation"] == "Quero um orçamento"


def test_independent_libraries_verify_the_signature(
    manager: ManagerProcess, receiver: Receiver, new_phone: NewPhone
) -> None:
    created = manager.pair("empresa_x", new_phone("Empresa X"), receiver.url())
    (told,) = receiver.wait_for(lambda payload: payload["instance"].get("status") == "CONNECTED")
    headers = {name.lower(): value for name, value in told.headers.items()}
    standardwebhooks.Webhook(created["webhookSecret"]).verify(told.body, headers)
    svix.webhooks.Webhook(created["webhookSecret"]).verify(told.body, headers)
    assert headers["webhook-id"] == told.id
    assert headers["x-instance-id"] == created["id"]
    assert headers["x-instance-name"] == "empresa_x"
    assert headers["user-agent"].startswith("chatbot-erp/")


def test_deliveries_are_numbered_without_gaps_and_come_in_order(
    manager: ManagerProcess, receiver: Receiver, new_phone: NewPhone
) -> None:
    shop, customer = new_phone("Empresa X"), new_phone("Maria")
    manager.pair("empresa_x", shop, receiver.url())
    for number in range(20):
        customer.send(shop.number, f"mensagem {number}")
    received = receiver.wait_for(lambda payload: payload["event"] == "message.received", count=20)
    assert [each.payload["message"]["text"] for each in received] == [f"mensagem {n}" for n in range(20)]
    sequences = [each.payload["sequence"] for each in receiver.deliveries()]
    assert sequences == list(range(1, len(sequences) + 1))


def test_a_partial_ack_degrades_and_a_full_one_recovers(
    manager: ManagerProcess, receiver: Receiver, new_phone: NewPhone
) -> None:
    customer = new_phone("Maria")
    customer.set_policy("none")
    manager.pair("empresa_x", new_phone("Empresa X"), receiver.url())
    message_id = manager.send("empresa_x", customer.number, "Olá").json()["messageId"]
    manager.wait_until("empresa_x", lambda view: view["status"] == "DEGRADED")
    assert manager.send("empresa_x", customer.number, "ainda aí?").status_code == 200
    customer.acknowledge(message_id, "delivered")
    manager.wait_until("empresa_x", lambda view: view["status"] == "CONNECTED")
    receiver.wait_for(lambda payload: payload["instance"].get("status") == "DEGRADED")
    receiver.wait_for(lambda payload: payload["instance"].get("previous") == "DEGRADED")


def test_a_receipt_told_twice_is_one_ack(manager: ManagerProcess, receiver: Receiver, new_phone: NewPhone) -> None:
    customer = new_phone("Maria")
    customer.set_policy("none")
    manager.pair("empresa_x", new_phone("Empresa X"), receiver.url())
    message_id = manager.send("empresa_x", customer.number, "Olá").json()["messageId"]
    for _ in range(3):
        customer.acknowledge(message_id, "delivered")
    customer.acknowledge(message_id, "read")
    receiver.wait_for(lambda payload: payload.get("ack", {}).get("status") == 3)
    assert len(receiver.deliveries(event="message.ack")) == 2


def test_a_played_voice_message_is_ack_4(manager: ManagerProcess, receiver: Receiver, new_phone: NewPhone) -> None:
    customer = new_phone("Maria")
    manager.pair("empresa_x", new_phone("Empresa X"), receiver.url())
    message_id = manager.send("empresa_x", customer.number, "Olá").json()["messageId"]
    customer.acknowledge(message_id, "played")
    receiver.wait_for(lambda payload: payload.get("ack") == {"status": 4, "name": "played"})


def test_the_brazilian_ninth_digit_reaches_the_account_that_exists(
    manager: ManagerProcess, network: Network, new_phone: NewPhone
) -> None:
    without_nine = network.phone("559133334444", name="Joana")
    manager.pair("empresa_x", new_phone("Empresa X"))
    answer = manager.send("empresa_x", "+55 91 93333-4444", "Olá")
    assert answer.status_code == 200, answer.text
    assert answer.json()["jid"] == without_nine.jid
    without_nine.receive(text="Olá")


def test_in_a_region_numbers_are_written_as_they_are_dialled_there(
    tmp_path: Path, network: Network, new_phone: NewPhone
) -> None:
    with_nine, without_nine = network.phone("5591985556666", name="Ana"), network.phone("559185557777", name="Joana")
    with ManagerProcess(tmp_path / "data", network, "--default-region", "br") as manager:
        manager.pair("empresa_x", new_phone("Empresa X"))
        for number, customer in (
            ("(91) 98555-6666", with_nine),
            ("091 8555-6666", with_nine),
            ("91 98555-7777", without_nine),
            ("+55 91 8555-7777", without_nine),
            ("559185557777", without_nine),
        ):
            answer = manager.send("empresa_x", number, number)
            assert (answer.status_code, answer.json()["jid"]) == (200, customer.jid), answer.text
            customer.receive(text=number)
        found = manager.call("POST", "/instances/empresa_x/contacts/check", json={"numbers": ["91 98555-7777"]})
        assert found.json()["contacts"][0]["jid"] == without_nine.jid
        assert manager.call("GET", "/instances/empresa_x/contacts/(91) 98555-6666").json()["jid"] == with_nine.jid


def test_a_number_that_is_not_on_whatsapp_is_a_clear_404(manager: ManagerProcess, new_phone: NewPhone) -> None:
    manager.pair("empresa_x", new_phone("Empresa X"))
    answer = manager.send("empresa_x", "5511000000001", "Olá")
    assert answer.status_code == 404
    assert answer.json()["type"].endswith("not-on-whatsapp")
    assert manager.events("empresa_x", "message.failed")


def test_what_whatsapp_refuses_is_502_and_degrades(manager: ManagerProcess, new_phone: NewPhone) -> None:
    shop, customer = new_phone("Empresa X"), new_phone("Maria")
    manager.pair("empresa_x", shop)
    # The ping to oneself is a send, too: it is to be through before the next one is refused.
    manager.wait_until("empresa_x", lambda view: bool(manager.events("empresa_x", "ping.sent")))
    for error, status, code in (
        (400, 502, "whatsapp-refused"),
        (463, 502, "reachout-locked"),
        (479, 502, "addressing-rejected"),
        (429, 429, "asked-too-much"),
    ):
        shop.fault(RefuseSend(error=error, times=1))
        answer = manager.send("empresa_x", customer.number, "Olá")
        assert (answer.status_code, answer.json()["type"]) == (status, f"/problems/{code}")
        assert str(error) in answer.json()["detail"]
        assert manager.view("empresa_x")["status"] == "DEGRADED"
    assert answer.headers["Retry-After"]
    assert manager.send("empresa_x", customer.number, "de novo").status_code == 200


def test_a_send_that_is_cut_off_has_an_unknown_outcome_and_is_not_repeated(
    manager: ManagerProcess, new_phone: NewPhone
) -> None:
    shop, customer = new_phone("Empresa X"), new_phone("Maria")
    manager.pair("empresa_x", shop)
    assert manager.send("empresa_x", customer.number, "primeira").status_code == 200
    shop.fault(Silence())
    (host,) = manager.host_pids()
    answers = []
    caller = threading.Thread(target=lambda: answers.append(manager.send("empresa_x", customer.number, "segunda")))
    caller.start()
    manager.wait_until("empresa_x", lambda view: len(manager.events("empresa_x", "message.accepted")) == 2)
    os.kill(host, signal.SIGKILL)
    caller.join(60)
    shop.heal()
    assert answers[0].status_code == 504
    assert answers[0].json()["type"].endswith("outcome-unknown")
    manager.wait_connected("empresa_x")
    assert manager.send("empresa_x", customer.number, "terceira").status_code == 200
    assert [message.text for message in customer.inbox()] == ["primeira", "terceira"]


def test_the_same_idempotency_key_sends_once(manager: ManagerProcess, new_phone: NewPhone) -> None:
    customer = new_phone("Maria")
    manager.pair("empresa_x", new_phone("Empresa X"))
    key = {"Idempotency-Key": "pedido-42"}
    first = manager.send("empresa_x", customer.number, "Olá", headers=key)
    second = manager.send("empresa_x", customer.number, "Olá", headers=key)
    other = manager.send("empresa_x", customer.number, "Outra", headers=key)
    assert first.status_code == second.status_code == 200
    assert first.content == second.content
    assert other.status_code == 422
    assert manager.send("empresa_x", customer.number, "fim").status_code == 200
    customer.receive(text="fim")
    assert [message.text for message in customer.inbox()] == ["Olá", "fim"]


def test_a_key_whose_send_was_killed_in_its_middle_is_answered_so_for_ever_and_sends_nothing(
    manager: ManagerProcess, new_phone: NewPhone
) -> None:
    shop, customer = new_phone("Empresa X"), new_phone("Maria")
    manager.pair("empresa_x", shop)
    assert manager.send("empresa_x", customer.number, "primeira").status_code == 200
    key = {"Idempotency-Key": "pedido-42"}

    def send_to_nowhere() -> None:
        with suppress(requests.ConnectionError):
            manager.send("empresa_x", customer.number, "segunda", headers=key)

    shop.fault(Silence())
    caller = threading.Thread(target=send_to_nowhere)
    caller.start()
    manager.wait_event("empresa_x", "message.accepted", count=2)
    running = manager.send("empresa_x", customer.number, "segunda", headers=key)
    assert (running.status_code, running.json()["type"]) == (409, "/problems/idempotency-key-running")
    connected = len(manager.events("empresa_x", "instance.connected"))
    (host,) = manager.host_pids()
    manager.kill()
    with suppress(ProcessLookupError):
        os.kill(host, signal.SIGKILL)
    caller.join()
    shop.heal()
    manager.start()
    manager.wait_event("empresa_x", "instance.connected", count=connected + 1)
    for _ in range(2):
        answer = manager.send("empresa_x", customer.number, "segunda", headers=key)
        assert (answer.status_code, answer.json()["type"]) == (504, "/problems/outcome-unknown")
    assert manager.send("empresa_x", customer.number, "outra", headers=key).status_code == 422
    assert manager.send("empresa_x", customer.number, "terceira").status_code == 200
    customer.receive(text="terceira")
    assert [message.text for message in customer.inbox()] == ["primeira", "terceira"]


def test_one_slow_number_does_not_hold_up_another(manager: ManagerProcess, new_phone: NewPhone) -> None:
    slow, quick, customer = new_phone("Lenta"), new_phone("Rápida"), new_phone("Maria")
    manager.pair("lenta", slow)
    manager.pair("rapida", quick)
    slow.fault(SlowAcks(delay_s=600))
    done = threading.Event()

    def send_slowly() -> None:
        manager.send("lenta", customer.number, "devagar")
        done.set()

    caller = threading.Thread(target=send_slowly)
    caller.start()
    manager.wait_until("lenta", lambda view: bool(manager.events("lenta", "message.accepted")))
    assert manager.send("rapida", customer.number, "já").status_code == 200
    assert not done.is_set()
    slow.heal()
    assert done.wait(60)
    caller.join(60)


def test_one_dead_receiver_does_not_hold_up_another(
    manager: ManagerProcess, receiver: Receiver, new_phone: NewPhone
) -> None:
    released = threading.Event()

    def answer(delivery: Delivery) -> int:
        if delivery.path == "/morto":
            released.wait(60)
            return 500
        return 200

    receiver.answer = answer
    first, second = new_phone("A"), new_phone("B")
    manager.pair("a", first, receiver.url("/morto"))
    manager.pair("b", second, receiver.url("/vivo"))
    receiver.wait_for(lambda payload: payload["instance"].get("status") == "CONNECTED", path="/vivo")
    assert not [d for d in receiver.deliveries(path="/morto") if d.event != "instance.status"]
    released.set()
    receiver.answer = lambda delivery: 200
    receiver.wait_for(lambda payload: payload["instance"].get("status") == "CONNECTED", path="/morto")
    ids = [delivery.id for delivery in receiver.deliveries(path="/morto")]
    assert ids[0] == ids[1], "a retry keeps its id"
