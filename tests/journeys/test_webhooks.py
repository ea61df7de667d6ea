"""Deliveries under the hand of their owner: settings, a receiver that is gone, the past once more, the log as a stream."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import standardwebhooks

from chatbot_erp.sandbox.client import Network, Phone
from manager_process import ManagerProcess
from receiver import ELSEWHERE, Delivery, Receiver
from waiting import wait_until

NewPhone = Callable[[str], Phone]
MESSAGES = {"webhook": {"events": ["message.received"]}}


INNER = [
    "127.0.0.1",
    "[::1]",
    "[::ffff:127.0.0.1]",
    "2130706433",
    "0177.1",
    "169.254.169.254",
    "100.64.0.1",
    "[64:ff9b::7f00:1]",
    "10.0.0.1",
    "localhost",
    "8.8.8.8@127.0.0.1",
]


def control(manager: ManagerProcess, method: str, call: str = "", **settings: Any) -> Any:
    answer = manager.call(method, f"/instances/empresa_x/webhook{call}", **settings)
    assert answer.ok, answer.text
    return answer.json()


def text(payload: Any) -> Any:
    return payload.get("message", {}).get("text")


def await_standing(manager: ManagerProcess, wanted: Callable[[Any], bool]) -> Any:
    return wait_until(
        lambda: shown if wanted(shown := control(manager, "GET")) else None, describe=lambda: control(manager, "GET")
    )


def test_a_receiver_that_was_gone_is_told_everything_when_it_is_enabled_also_after_a_restart(
    tmp_path: Path, network: Network, receiver: Receiver, new_phone: NewPhone
) -> None:
    gone = True

    def answer(delivery: Delivery) -> int:
        return 410 if gone and text(delivery.payload) == "um" else 200

    receiver.answer = answer
    shop, customer = new_phone("Empresa X"), new_phone("Maria")
    with ManagerProcess(tmp_path / "data", network) as manager:
        manager.pair("empresa_x", shop, receiver.url())
        manager.call("PATCH", "/instances/empresa_x", json=MESSAGES)
        customer.send(shop.number, "um")
        manager.wait_event("empresa_x", "endpoint.disabled")
        customer.send(shop.number, "dois")
        manager.wait_event("empresa_x", "message.received", count=2)
        shown = await_standing(manager, lambda shown: shown["backlog"] == 2)
        assert (shown["disabled"], shown["attempts"][0]["httpStatus"]) == ("gone", 410)
        manager.kill()
        manager.start()
        assert control(manager, "GET")["disabled"] == "gone"
        assert [text(each.payload) for each in receiver.deliveries(event="message.received")] == ["um"]
        gone = False
        control(manager, "POST", "/enable")
        receiver.wait_for(lambda payload: text(payload) == "dois")
    heard = receiver.deliveries(event="message.received")
    assert [text(each.payload) for each in heard] == ["um", "um", "dois"]
    assert heard[0].id == heard[1].id


def test_the_past_is_told_again_and_a_second_endpoint_hears_what_it_wants(
    manager: ManagerProcess, receiver: Receiver, new_phone: NewPhone
) -> None:
    shop, customer = new_phone("Empresa X"), new_phone("Maria")
    created = manager.pair("empresa_x", shop, receiver.url("/main"))
    crm = control(
        manager,
        "PATCH",
        "?endpoint=crm",
        json={"url": receiver.url("/crm"), "events": ["message.received"], "headers": {"X-Token": "t0ken"}},
    )
    customer.send(shop.number, "um")
    (told,) = receiver.wait_for(lambda payload: text(payload) == "um", path="/crm")
    assert told.headers["X-Token"] == "t0ken"
    standardwebhooks.Webhook(crm["webhookSecret"]).verify(told.body, dict(told.headers))
    (first,) = receiver.wait_for(lambda payload: text(payload) == "um", path="/main")
    assert {each.event for each in receiver.deliveries("/crm")} == {"message.received"}

    new = control(manager, "POST", "/secret", json={})["webhookSecret"]
    assert control(manager, "POST", "/replay", json={"events": ["message.received"]})["queued"] == 1
    _, again = receiver.wait_for(lambda payload: text(payload) == "um", path="/main", count=2)
    assert (again.id, again.body) == (first.id, first.body)
    for secret in (new, created["webhookSecret"]):
        standardwebhooks.Webhook(secret).verify(again.body, dict(again.headers))
    control(manager, "POST", f"/resend/{first.payload['position']}")
    receiver.wait_for(lambda payload: text(payload) == "um", path="/main", count=3)
    assert control(manager, "POST", "/test")["delivered"] is True
    assert receiver.deliveries("/main", "webhook.test")


def test_a_rejected_message_is_a_dead_letter_and_the_next_one_goes_on(
    manager: ManagerProcess, receiver: Receiver, new_phone: NewPhone
) -> None:
    receiver.answer = lambda delivery: 422 if text(delivery.payload) == "mau" else 200
    shop, customer = new_phone("Empresa X"), new_phone("Maria")
    manager.pair("empresa_x", shop, receiver.url())
    manager.call("PATCH", "/instances/empresa_x", json={"webhook": {"rejectAfterS": 0}})
    customer.send(shop.number, "mau")
    customer.send(shop.number, "bom")
    receiver.wait_for(lambda payload: text(payload) == "bom")
    await_standing(manager, lambda shown: shown["deadLetters"] == 1)
    (letter,) = control(manager, "GET", "/dead")["deadLetters"]
    assert (letter["error"], letter["type"]) == ("http_422", "message.received")
    receiver.answer = lambda _: 200
    control(manager, "POST", "/redrive", json={})
    receiver.wait_for(lambda payload: text(payload) == "mau", count=2)
    assert await_standing(manager, lambda shown: shown["backlog"] == 0)["deadLetters"] == 0


def test_a_redirect_is_tried_again_and_not_followed_and_a_new_url_is_told_what_comes_next(
    manager: ManagerProcess, receiver: Receiver
) -> None:
    receiver.answer = lambda _: 200 if receiver.deliveries("/old") else 307
    manager.create("empresa_x", receiver.url("/old"))
    first, again, *_ = receiver.wait_for(lambda _: True, path="/old", count=2)
    assert (first.status, again.status) == (307, 200)
    assert (again.id, again.body) == (first.id, first.body)
    answer = manager.call("PATCH", "/instances/empresa_x", json={"webhookUrl": receiver.url("/new")})
    assert (answer.status_code, answer.json()["webhookUrl"]) == (200, receiver.url("/new"))
    assert manager.call("POST", "/instances/empresa_x/restart").status_code == 202
    receiver.wait_for(lambda payload: payload["instance"].get("status") == "INITIALIZING", path="/new")
    assert receiver.deliveries(ELSEWHERE) == []


def test_under_deny_private_no_inner_address_is_taken_nor_dialled(
    tmp_path: Path, network: Network, receiver: Receiver
) -> None:
    """At creation, at each change, and where it was given before the setting was."""
    with ManagerProcess(tmp_path / "data", network) as former:
        former.create("empresa_x", receiver.url())
        receiver.wait_for(lambda payload: payload["instance"].get("status") == "SCAN_QR_CODE")
    heard = len(receiver.deliveries())
    with ManagerProcess(tmp_path / "data", network, "--webhook-deny", "private") as manager:
        for host in INNER:
            url = f"http://{host}:8080/hook"
            for method, path, body in (
                ("POST", "/instances/create", {"name": "b", "webhookUrl": url}),
                ("PATCH", "/instances/empresa_x", {"webhookUrl": url}),
                ("PATCH", "/instances/empresa_x/webhook?endpoint=crm", {"url": url}),
            ):
                answer = manager.call(method, path, json=body)
                assert (answer.status_code, answer.json()["type"]) == (422, "/problems/bad-webhook-url"), (host, path)
        shown = await_standing(manager, lambda shown: shown["attempts"][0]["error"])
        assert shown["attempts"][0]["error"] == "denied_address"
        assert (shown["url"], shown["endpoints"]) == (receiver.url(), ["main"])
        assert control(manager, "POST", "/test")["attempt"]["error"] == "denied_address"
    assert len(receiver.deliveries()) == heard


def test_the_log_streams_as_it_grows(manager: ManagerProcess, new_phone: NewPhone) -> None:
    shop, customer = new_phone("Empresa X"), new_phone("Maria")
    manager.pair("empresa_x", shop)
    with manager.session.get(
        f"{manager.url}/events/stream?type=message.received&instance=empresa_x", stream=True, timeout=60
    ) as stream:
        lines = stream.iter_lines(chunk_size=1, decode_unicode=True)
        assert next(lines).startswith("retry")
        customer.send(shop.number, "um")
        data = next(line for line in lines if line.startswith("data: "))
        assert json.loads(data.removeprefix("data: "))["data"]["text"] == "um"
        assert manager.terminate() == 0
