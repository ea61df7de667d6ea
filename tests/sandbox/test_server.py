"""The network as a process, and what is told to those who ask it wrongly."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chatbot_erp.sandbox import trust
from chatbot_erp.sandbox.client import Network, SandboxError

_SERVER = [sys.executable, "-m", "chatbot_erp.sandbox.server"]


@pytest.fixture
def server() -> Iterator[tuple[subprocess.Popen[bytes], dict[str, str]]]:
    with subprocess.Popen(_SERVER, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        yield process, json.loads(process.stdout.readline())
        process.kill()


def test_it_ends_when_its_standard_input_closes_and_leaves_nothing_behind(server: Any) -> None:
    process, address = server
    process.stdin.close()
    assert process.wait(60) == 0
    assert not Path(address["ca_file"]).exists()


def test_it_ends_at_sigterm_and_leaves_nothing_behind(server: Any) -> None:
    process, address = server
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0
    assert not Path(address["ca_file"]).exists()


def test_it_ends_when_its_parent_is_killed() -> None:
    start = "from chatbot_erp.sandbox.client import Network; print(Network.start().pid, flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", start], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        orphan = os.pidfd_open(int(parent.stdout.readline()))
        parent.kill()
    ended, _, _ = select.select([orphan], [], [], 10)
    os.close(orphan)
    assert ended


def test_it_listens_on_the_loopback_only(network: Network) -> None:
    sockets = {os.readlink(link) for link in Path(f"/proc/{network.pid}/fd").iterdir()}
    rows = [line.split() for table in ("tcp", "tcp6") for line in Path(f"/proc/net/{table}").read_text().splitlines()]
    listening = [row[1] for row in rows if row[3] == "0A" and f"socket:[{row[9]}]" in sockets]
    assert len(listening) == 2
    assert all(address.startswith("0100007F:") for address in listening)


def test_another_client_joins_the_same_network(network: Network) -> None:
    number = network.phone("4930123456", name="Berlin").number
    other = Network.connect(network.control_url)
    assert other.phone(number).name == "Berlin"
    assert other.environment() == network.environment()
    other.stop()
    assert network.phone(number).view().number == number


def test_threads_wait_at_the_same_time(network: Network) -> None:
    one, other = network.phone("4930111111"), network.phone("4930222222")
    seen: list[str] = []
    threads = [
        threading.Thread(target=lambda n=n: seen.append(other.receive(text=f"number {n}").text)) for n in range(8)
    ]
    for thread in threads:
        thread.start()
    for n in range(8):
        one.send(other.number, f"number {n}")
    for thread in threads:
        thread.join()
    assert sorted(seen) == [f"number {n}" for n in range(8)]


def test_a_wait_in_vain_says_what_was_missing(network: Network) -> None:
    phone = network.phone("4930333333")
    with pytest.raises(TimeoutError, match=r"4930333333 did not get 'hello' from 4930111111 within 0.05 s\."):
        phone.receive(sender="+49 30 111111", text="hello", timeout_s=0.05)
    with pytest.raises(TimeoutError, match="did not come online"):
        phone.wait_online(timeout_s=0.05)


def test_what_is_asked_of_nobody_is_refused(network: Network) -> None:
    phone = network.phone("4930444444")
    with pytest.raises(SandboxError, match="not on this network"):
        phone.send("4930999999", "hello?")
    with pytest.raises(SandboxError, match="has no message"):
        phone.acknowledge("ABC", "read")
    with pytest.raises(SandboxError, match="No companion shows a pairing code"):
        phone.enter_code("ABCD-EFGH")
    with pytest.raises(SandboxError, match="no phone number"):
        network.phone("nobody")


def test_a_network_that_has_ended_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # A killed server cannot clear up: what it leaves shall lie where pytest does.
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    network = Network.start()
    phone = network.phone("4930555555")
    assert network.pid is not None
    os.kill(network.pid, signal.SIGKILL)
    with pytest.raises(SandboxError, match=r"has ended|cannot be reached"):
        phone.inbox()
    network.stop()


def test_a_process_without_the_library_is_told_so() -> None:
    with pytest.raises(trust.CannotTrust, match="import neonize first"):
        trust.trust_root_key("00" * 32)
    with pytest.raises(ValueError, match="32 bytes"):
        trust.trust_root_key("00")
