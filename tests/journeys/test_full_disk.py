"""The disk is full, for the log as for the log lines: nothing is promised that cannot be kept, and nothing is lost."""

import resource
from collections.abc import Callable
from pathlib import Path

import pytest

from chatbot_erp.sandbox.client import Network, Phone
from manager_process import ManagerProcess
from receiver import Receiver

NewPhone = Callable[[str], Phone]
SMALL = 4096
UNLIMITED = resource.RLIM_INFINITY


def fill_disk(manager: ManagerProcess) -> None:
    """From now on no file of this manager grows, whichever it is; its socket processes go on."""
    resource.prlimit(manager.pid, resource.RLIMIT_FSIZE, (SMALL, UNLIMITED))


def make_room(manager: ManagerProcess) -> None:
    resource.prlimit(manager.pid, resource.RLIMIT_FSIZE, (UNLIMITED, UNLIMITED))


@pytest.mark.sqlite("a database's disk is its server's")
def test_a_full_disk_refuses_what_is_asked_keeps_what_comes_in_and_is_forgotten_when_there_is_room(
    tmp_path: Path, network: Network, receiver: Receiver, new_phone: NewPhone
) -> None:
    shop, customer = new_phone("Empresa X"), new_phone("Maria")
    with ManagerProcess(tmp_path / "data", network, "--no-sanity-ping") as manager:
        manager.pair("a", shop, receiver.url())
        assert manager.send("a", customer.number, "antes").status_code == 200
        manager.wait_event("a", "message.acknowledged", count=2)
        fill_disk(manager)
        texts = [f"cheio {number}" for number in range(30)]
        for text in texts:
            customer.send(shop.number, text)
        refused = manager.send("a", customer.number, "durante")
        assert (refused.status_code, refused.headers["Retry-After"]) == (503, "5")
        assert refused.json()["type"] == "/problems/store-unavailable"
        assert manager.call("GET", "/readyz").status_code == 503
        assert manager.call("GET", "/livez").status_code == 200
        assert manager.view("a")["status"] in ("CONNECTED", "DEGRADED")
        assert receiver.deliveries(event="message.received") == []
        make_room(manager)
        receiver.wait_for(lambda payload: payload.get("message", {}).get("text") == texts[-1])
        heard = [each.payload["message"]["text"] for each in receiver.deliveries(event="message.received")]
        assert heard == texts
        assert manager.call("GET", "/readyz").status_code == 200
        assert manager.send("a", customer.number, "depois").status_code == 200
        assert [message.text for message in customer.inbox()] == ["antes", "depois"]
        assert manager.events("a", "instance.disconnected") == []
        assert manager.terminate() == 0
    verdict = manager.run("verify")
    assert verdict.returncode == 0, verdict.stdout + verdict.stderr
