"""The handbook's way through the API, with the typed client."""

from collections.abc import Callable

import pytest

from chatbot_erp.client.api import Client, Refused
from chatbot_erp.sandbox.client import Phone
from chatbot_erp.sandbox.playground import CUSTOMER
from manager_process import ManagerProcess


def test_a_number_lives_from_its_creation_to_its_removal(
    manager: ManagerProcess, new_phone: Callable[[str], Phone]
) -> None:
    client = Client(manager.url)
    phone = new_phone("Empresa X")
    created = client.create("empresa_x", "http://127.0.0.1:9/nobody")
    assert created.webhook_secret is not None
    assert created.webhook_secret.startswith("whsec_")
    with pytest.raises(Refused) as early:
        client.send_text("empresa_x", CUSTOMER, "Olá!")
    assert early.value.problem.type == "/problems/instance-not-operational"

    manager.wait_until("empresa_x", lambda view: view["qr"] is not None)
    waiting = client.instance("empresa_x")
    assert waiting.qr is not None
    assert waiting.qr_expires_at is not None
    client.call("POST", "/sandbox/empresa_x/scan", {"number": phone.number})
    manager.wait_connected("empresa_x")
    assert [each.name for each in client.instances()] == ["empresa_x"]

    sent = client.send_text("empresa_x", CUSTOMER, "Olá!", idempotency_key="order-42")
    assert client.send_text("empresa_x", CUSTOMER, "Olá!", idempotency_key="order-42") == sent
    changed = client.change("empresa_x", webhookUrl="http://127.0.0.1:9/elsewhere")
    assert changed.webhook_url == "http://127.0.0.1:9/elsewhere"

    happened = list(client.events("empresa_x"))
    assert [each.position for each in happened] == sorted(each.position for each in happened)
    (paired,) = client.events("empresa_x", types=("instance.paired",))
    assert client.state("empresa_x", paired.position)["user"]["jid"].startswith(phone.number)
    assert client.state("empresa_x", happened[0].position)["user"] is None

    client.restart("empresa_x")
    manager.wait_event("empresa_x", "instance.restarted", count=2)
    manager.wait_connected("empresa_x")
    client.delete("empresa_x")
    with pytest.raises(Refused) as late:
        client.instance("empresa_x")
    assert late.value.problem.status == 404
