"""Several nodes on one PostgreSQL share its numbers, answer for each other, and take over from each other."""

from collections.abc import Callable

import pytest

from chatbot_erp.sandbox.client import Phone
from nodes import Absences, Nodes, Traffic, homes, next_accepted, told, verdict, wait_for
from receiver import Receiver

NewPhone = Callable[[str], Phone]


def test_nodes_share_the_numbers_answer_for_each_other_and_take_over_from_one_that_is_killed(
    nodes: Nodes, receiver: Receiver, new_phone: NewPhone
) -> None:
    a, b = nodes.start("a"), nodes.start("b")
    phones = {name: new_phone(name) for name in ("um", "dois", "tres")}
    customer = new_phone("Maria")
    for (name, phone), manager in zip(phones.items(), (a, b, a), strict=True):
        manager.pair(name, phone, receiver.url())
    assert sorted(homes(a, *phones).values()) in (["a", "a", "b"], ["a", "b", "b"])
    taken = b.call("POST", "/instances/create", json={"name": "um", "webhookUrl": receiver.url()})
    assert taken.status_code == 409
    for manager in (a, b):
        seen = {each["name"]: each["status"] for each in manager.call("GET", "/instances").json()}
        assert seen == dict.fromkeys(phones, "CONNECTED")
    sent = {}
    for name, manager in zip(phones, (b, a, b), strict=True):
        sent[name] = manager.send(name, customer.number, f"Olá de {name}", headers={"Idempotency-Key": name})
        assert sent[name].status_code == 200, sent[name].text
    owners = homes(a, *phones)
    elsewhere = {node: next(name for name in phones if owners[name] != node) for node in "ab"}
    assert next_accepted(b, lambda: a.send(elsewhere["b"], customer.number, "Ao vivo")) == "Ao vivo"
    customer.send(phones[elsewhere["b"]].number, "Esqueça")
    wait_for(lambda: "Esqueça" in told(receiver))
    erased = b.call("DELETE", f"/subjects/{customer.number}")
    assert erased.json()["subjects"] > 0, erased.text
    for manager in (a, b):
        page = manager.call("GET", f"/instances/{elsewhere['b']}/events", params={"type": "message.received"})
        assert "Esqueça" not in page.text
    before = b.call("GET", "/events", params={"limit": 500}).json()["events"]

    a.kill()
    wait_for(lambda: homes(b, *phones) == dict.fromkeys(phones, "b"), b)
    assert b.call("GET", "/events", params={"limit": 500}).json()["events"][: len(before)] == before
    for name, phone in phones.items():
        again = b.send(name, customer.number, f"Olá de {name}", headers={"Idempotency-Key": name})
        assert again.json() == sent[name].json()
        customer.send(phone.number, f"Oi, {name}")
    wait_for(lambda: {f"Oi, {name}" for name in phones} <= set(told(receiver)))
    nodes.start("a")
    wait_for(lambda: sorted(homes(a, *phones).values()) == ["a", "b", "b"], a, b)
    for name in phones:
        assert a.send(name, customer.number, f"Depois de {name}").status_code == 200
    customer.wait_inbox(7)
    assert sorted(message.text for message in customer.inbox()) == sorted(
        ["Ao vivo", *(f"{when} de {name}" for name in phones for when in ("Olá", "Depois"))]
    )
    assert "The log is whole" in verdict(nodes.database)


def test_a_node_that_joins_is_handed_numbers_and_one_that_ends_hands_them_back_while_messages_come_and_go(
    nodes: Nodes, receiver: Receiver, new_phone: NewPhone, capsys: pytest.CaptureFixture[str]
) -> None:
    a = nodes.start("a")
    phones = {name: new_phone(name) for name in ("um", "dois", "tres", "quatro")}
    customer = new_phone("Maria")
    for name, phone in phones.items():
        a.pair(name, phone, receiver.url())
    with Traffic([a], phones, customer) as traffic, Absences(phones) as absences:
        b = nodes.start("b")
        wait_for(lambda: sorted(homes(b, *phones).values()) == ["a", "a", "b", "b"], a, b)
        joined = str(absences)
        assert b.terminate() == 0
        # Not with its end, but before, while all that waited for their turn went on.
        assert b.log.read_text().count("instance_goes") == 2
        wait_for(lambda: homes(a, *phones) == dict.fromkeys(phones, "a"), a, b)
    traffic.check(receiver)
    with capsys.disabled():
        print(f"\naway when b joined: {joined}; also when it ended: {absences};", end=" ")
        print(f"{len(traffic.sent)} sent, {len(traffic.written)} received, {len(traffic.unknown)} unknown")
    assert "The log is whole" in verdict(nodes.database)
