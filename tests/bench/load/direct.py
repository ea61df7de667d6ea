"""The limit: the library called directly, many clients in one process, against a network of its own."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from chatbot_erp.sandbox.client import Network
from load.processes import cpu_s, descendants

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


def direct_rate(instances: int, size: int, seconds: float) -> dict[str, float]:
    """Sends per second of so many clients together, and CPU seconds per 1,000 sends."""
    with tempfile.TemporaryDirectory() as directory, Network.start() as network:
        clients = Clients(network)
        try:
            for index in range(instances):
                phone = network.phone(f"55117{index:08}")
                clients.tell(f"c{index}", "start", path=f"{directory}/{index}.db")
                phone.scan(clients.await_event(f"c{index}", event="qr")["qr"])
                phone.wait_online()
            customer = network.phone("5521900000000")
            once = max(20, int(20 * seconds / instances))
            rounds = sent = 0
            assert network.pid is not None
            own, theirs = cpu_s(descendants(clients.process.pid)), cpu_s(descendants(network.pid))
            begun = time.monotonic()
            while time.monotonic() - begun < seconds:
                told = {
                    clients.tell(f"c{n}", "send_many", to=customer.number, count=once, text="x" * size)
                    for n in range(instances)
                }
                clients.drain(told)
                rounds += 1
                sent += once * instances
            took = time.monotonic() - begun
            own = cpu_s(descendants(clients.process.pid)) - own
            theirs = cpu_s(descendants(network.pid)) - theirs
        finally:
            clients.process.kill()
            clients.process.communicate()
    return {"per_s": sent / took, "library_cpu_s": own * 1000 / sent, "sandbox_cpu_s": theirs * 1000 / sent}
