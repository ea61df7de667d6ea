"""The program as a whole with everything around it, each part in processes of its own so that its cost can be told."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from chatbot_erp.sandbox.client import Network, Phone
from load.processes import cpu_s, descendants, pss_mb
from manager_process import ManagerProcess

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

    def finish(self) -> Any:
        """Say that nothing more is coming, and give what it says last."""
        return json.loads(self.process.communicate()[0])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.process.kill()
        self.process.communicate()


@dataclass(frozen=True, slots=True)
class Cost:
    """CPU seconds since some moment, by part."""

    manager: float
    hosts: float
    sandbox: float

    def __sub__(self, other: Cost) -> Cost:
        return Cost(self.manager - other.manager, self.hosts - other.hosts, self.sandbox - other.sandbox)


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
