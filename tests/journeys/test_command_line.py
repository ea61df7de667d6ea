"""A running manager, asked from a terminal."""

import json
import subprocess
import sys
from collections.abc import Callable

from chatbot_erp.sandbox.client import Phone
from manager_process import ManagerProcess

NewPhone = Callable[[str], Phone]


def run(manager: ManagerProcess, *command: str) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "chatbot_erp.actors.main", *command, "--url", manager.url]
    return subprocess.run(line, capture_output=True, text=True, timeout=60, check=False)


def test_a_terminal_shows_the_numbers_sends_and_waits_for_a_scan(manager: ManagerProcess, new_phone: NewPhone) -> None:
    phone, customer = new_phone("Empresa X"), new_phone("Maria")
    manager.create("empresa_x")
    view = manager.wait_until("empresa_x", lambda view: view["qr"] is not None)
    line = [sys.executable, "-m", "chatbot_erp.actors.main", "qr", "empresa_x", "--url", manager.url]
    with subprocess.Popen(line, stdout=subprocess.PIPE, text=True) as waiting:
        phone.scan(view["qr"])
        said, _ = waiting.communicate(timeout=30)
    assert waiting.returncode == 0
    assert f"empresa_x is CONNECTED as {phone.number}" in said or "empresa_x is DEGRADED" in said

    shown = run(manager, "instances", "--json")
    assert shown.returncode == 0, shown.stderr
    (instance,) = [json.loads(each) for each in shown.stdout.splitlines()]
    assert (instance["name"], instance["user"]["jid"].split("@")[0].split(":")[0]) == ("empresa_x", phone.number)
    assert "qr" not in instance
    assert "empresa_x" in run(manager, "instances").stdout

    sent = run(manager, "send", "empresa_x", customer.number, "Olá do terminal", "--idempotency-key", "k", "--json")
    again = run(manager, "send", "empresa_x", customer.number, "Olá do terminal", "--idempotency-key", "k", "--json")
    assert sent.stdout == again.stdout != ""
    customer.receive(text="Olá do terminal")
    assert customer.wait_inbox(1) == 1

    refused = run(manager, "send", "nobody", customer.number, "Olá")
    assert refused.returncode != 0
    assert "Traceback" not in refused.stderr
    assert "nobody" in refused.stderr
