"""A running manager, asked from a terminal."""

import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

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
        said, _ = waiting.communicate(timeout=60)
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


def test_a_key_allows_what_it_says_and_hears_of_its_number_until_it_is_revoked(manager: ManagerProcess) -> None:
    ids = {name: manager.create(name)["id"] for name in ("other", "empresa_x")}
    for name in ids:
        manager.wait_event(name, "instance.pairing_offered")
    made = manager.run("keys", "create", "--scope", "read", "--instance", "empresa_x")
    assert made.returncode == 0, made.stderr
    key = made.stdout.strip()

    def ask(method: str, path: str, **headers: str) -> Any:
        shown = {"X-API-Key": key, **headers}
        return manager.session.request(method, manager.url + path, headers=shown, stream=True, timeout=180)

    assert ask("GET", "/instances/empresa_x").json()["qr"] is None
    for method, path in (("GET", "/instances/other"), ("POST", "/instances/empresa_x/restart"), ("GET", "/metrics")):
        assert ask(method, path).status_code == 403, path
    with ask("GET", "/events/stream?after=0") as stream:
        heard = [event(stream)]
        while heard[-1]["type"] != "instance.pairing_offered":
            heard.append(event(stream))
    assert heard[0]["type"] == "instance.created"
    assert {each["stream"] for each in heard} == {ids["empresa_x"]}
    offered = heard[-1]
    with ask("GET", "/events/stream", **{"Last-Event-ID": str(offered["position"] - 1)}) as stream:
        assert event(stream) == offered
        revoked = manager.run("keys", "revoke", key.split("_")[1])
        assert revoked.returncode == 0, revoked.stderr
        stream.raw.read()
    assert ask("GET", "/instances/empresa_x").status_code == 401


def event(stream: Any) -> Any:
    """The next one of a stream of events."""
    while not (line := stream.raw.readline()).startswith(b"data: "):
        assert line, "It has ended."
    return json.loads(line.removeprefix(b"data: "))
