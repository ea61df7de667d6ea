"""The limit: the library called directly, many clients in one process, against a network of its own."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from chatbot_erp.sandbox.client import Network
from load.processes import cpu_s, descendants
from load.world import Script

SCRIPT = Path(__file__).parents[2] / "sandbox" / "neonize_process.py"


class Clients:
    """A process of neonize clients (tests/sandbox/neonize_process.py), driven over lines of JSON."""

    def __init__(self, network: Network) -> None:
        self._tickets = itertools.count()
        self.process = subprocess.Popen(
            [sys.executable, str(SCRIPT), network.root_key],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            bufsize=1,
            env={**os.environ, **network.environment()},
        )

    def tell(self, client: str, ask: str, **args: Any) -> int:
        assert self.process.stdin is not None
        ticket = next(self._tickets)
        self.process.stdin.write(json.dumps({"client": client, "ask": ask, "ticket": ticket, **args}) + "\n")
        return ticket

    def await_event(self, client: str, **wanted: Any) -> Any:
        """The next event of this client that is as wanted; what comes before it is dropped."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            event = json.loads(line)
            if event["client"] == client and all(event.get(key) == value for key, value in wanted.items()):
                return event
        raise EOFError("The clients' process ended.")

    def drain(self, tickets: set[int]) -> list[float]:
        """Wait for the answers to these tickets."""
        assert self.process.stdout is not None
        values = []
        while tickets:
            event = json.loads(self.process.stdout.readline())
            if event["event"] == "answer" and event["ticket"] in tickets:
                tickets.discard(event["ticket"])
                values.append(event["value"])
        return values

    def paired(self, network: Network, count: int, directory: str) -> list[str]:
        """So many clients, linked to phones and online; their phone numbers."""
        phones = [network.phone(f"55117{index:08}") for index in range(count)]
        for index, phone in enumerate(phones):
            self.tell(f"c{index}", "start", path=f"{directory}/{index}.db")
            phone.scan(self.await_event(f"c{index}", event="qr")["qr"])
        for phone in phones:
            phone.wait_online(timeout_s=60)
        return [phone.number for phone in phones]


@contextmanager
def clients(count: int) -> Iterator[tuple[Network, Clients, list[str]]]:
    """A network with so many clients, and nothing of ours between them."""
    with tempfile.TemporaryDirectory() as directory, Network.start() as network:
        made = Clients(network)
        try:
            yield network, made, made.paired(network, count, directory)
        finally:
            made.process.kill()
            made.process.wait()


def costs(network: Network, made: Clients) -> tuple[float, float]:
    """CPU seconds of the library and of the sandbox until now."""
    assert network.pid is not None
    return cpu_s(descendants(made.process.pid)), cpu_s(descendants(network.pid))


def direct_sends(instances: int, size: int, seconds: float) -> dict[str, float]:
    """Sends per second of so many clients together, each one after the other, and CPU seconds per 1,000 sends."""
    with clients(instances) as (network, made, _):
        customer = network.phone("5521900000000")
        once = max(20, int(20 * seconds / instances))
        sent = 0
        library, sandbox = costs(network, made)
        begun = time.monotonic()
        while time.monotonic() - begun < seconds:
            told = {
                made.tell(f"c{n}", "send_many", to=customer.number, count=once, text="x" * size)
                for n in range(instances)
            }
            made.drain(told)
            sent += once * instances
        took = time.monotonic() - begun
        library_now, sandbox_now = costs(network, made)
    return {
        "per_s": sent / took,
        "library_cpu_s": (library_now - library) * 1000 / sent,
        "sandbox_cpu_s": (sandbox_now - sandbox) * 1000 / sent,
    }


def direct_receives(instances: int, customers: int, seconds: float) -> dict[str, float]:
    """What the sandbox hands to so many clients, as fast as it can: its own ceiling on this machine."""
    with clients(instances) as (network, made, numbers), Script("customer", network.control_url) as script:
        # Nobody reads the clients' output here: it must not fill the pipe.
        threading.Thread(target=lambda: [None for _ in made.process.stdout or ()], daemon=True).start()
        before, (library, sandbox) = network.stats().messages_out, costs(network, made)
        script.begin({"numbers": numbers, "customers": customers, "seconds": seconds, "per_s": 0})
        took = script.finish()["took"]
        received = network.stats().messages_out - before
        library_now, sandbox_now = costs(network, made)
    return {
        "per_s": received / took,
        "library_cpu_s": (library_now - library) * 1000 / received,
        "sandbox_cpu_s": (sandbox_now - sandbox) * 1000 / received,
    }
