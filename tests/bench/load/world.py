"""The program as a whole with everything around it, each part in processes of its own so that its cost can be told."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from chatbot_erp.sandbox.client import Network, Phone
from load.processes import cpu_s, descendants, pss_mb
from manager_process import OPERATIONAL, ManagerProcess

HERE = Path(__file__).parent
PAIRING_AT_ONCE = 4


class Script:
    """A child process that is told lines and answers lines of JSON."""

    def __init__(self, name: str, *args: str) -> None:
        command = [sys.executable, str(HERE / f"{name}_process.py"), *args]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)

    def tell(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")

    def hear(self) -> Any:
        assert self.process.stdout is not None
        return json.loads(self.process.stdout.readline())

    def begin(self, wanted: dict[str, Any]) -> None:
        """Tell it all there is to tell."""
        assert self.process.stdin is not None
        json.dump(wanted, self.process.stdin)
        self.process.stdin.close()
        self.process.stdin = None

    def finish(self) -> Any:
        """Wait for its end, and give what it says last."""
        return json.loads(self.process.communicate()[0])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                stream.close()


@dataclass(frozen=True, slots=True)
class Cost:
    """CPU seconds since some moment, by part."""

    manager: float
    hosts: float
    sandbox: float

    @property
    def program(self) -> float:
        """What is ours."""
        return self.manager + self.hosts

    def __sub__(self, other: Cost) -> Cost:
        return Cost(self.manager - other.manager, self.hosts - other.hosts, self.sandbox - other.sandbox)

    def per_thousand(self, count: int) -> dict[str, float]:
        """As figures, for a thousand of so many things."""
        share = 1000 / max(1, count)
        return {
            "manager_cpu_s": self.manager * share,
            "hosts_cpu_s": self.hosts * share,
            "program_cpu_s": self.program * share,
            "sandbox_cpu_s": self.sandbox * share,
        }


@dataclass(slots=True)
class World:
    """A network, a receiver, a manager, and numbers that are connected."""

    network: Network
    manager: ManagerProcess
    receiver: Script
    port: int
    """Where the receiver listens."""
    phones: list[Phone] = field(default_factory=list)

    def admit(self, count: int) -> None:
        """Create, scan and connect numbers until there are `count`."""
        names = range(len(self.phones), count)
        with ThreadPoolExecutor(PAIRING_AT_ONCE) as pool:
            self.phones += pool.map(self._admit_one, names)

    def _admit_one(self, index: int) -> Phone:
        phone = self.network.phone(f"55118{index:08}")
        self.manager.pair(f"n{index}", phone, f"http://127.0.0.1:{self.port}/n{index}")
        return phone

    def cost(self) -> Cost:
        assert self.network.pid is not None
        own = self.manager.pid
        return Cost(
            cpu_s([own]),
            cpu_s(pid for pid in descendants(own) if pid != own),
            cpu_s(descendants(self.network.pid)),
        )

    def memory_mb(self) -> float:
        """Of the manager and all its processes."""
        return pss_mb(descendants(self.manager.pid))

    def numbers(self) -> list[str]:
        """The numbers' own phone numbers."""
        return [phone.number for phone in self.phones]

    def statuses(self) -> Counter[str]:
        """How many numbers have which status."""
        return Counter(each["status"] for each in self.manager.call("GET", "/instances").json())

    def await_connected(self, patience_s: float) -> float:
        """Wait until all numbers are; the seconds that took."""
        begun = time.monotonic()
        while sum(self.statuses()[status] for status in OPERATIONAL) < len(self.phones):
            if time.monotonic() - begun > patience_s:
                raise TimeoutError(f"Not connected in time: {self.statuses()}")
            time.sleep(0.1)
        return time.monotonic() - begun

    def settle(self, event: str, count: int, patience_s: float = 60.0) -> float:
        """Wait until the receiver has so many of an event; the seconds that took."""
        begun = time.monotonic()
        while self.seen(keep=True)["counts"].get(event, 0) < count and time.monotonic() - begun < patience_s:
            time.sleep(0.02)
        return time.monotonic() - begun

    def seen(self, *, keep: bool = False) -> Any:
        """What the receiver got so far, and the latencies since it was last asked without `keep`."""
        self.receiver.tell("keep" if keep else "")
        return self.receiver.hear()


@contextmanager
def world(*options: str) -> Iterator[World]:
    """Begin with no numbers."""
    with (
        tempfile.TemporaryDirectory() as directory,
        Network.start() as network,
        Script("receiver") as receiver,
        ManagerProcess(Path(directory) / "data", network, "--no-sanity-ping", *options) as manager,
    ):
        yield World(network, manager, receiver, receiver.hear()["port"])
