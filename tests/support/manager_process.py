"""The whole program as a user runs it, for journeys: a `chatbot-erp serve` process and its REST interface."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import requests

from chatbot_erp.sandbox.client import Network, Phone
from stores import STORES, owners
from waiting import PATIENCE_S, wait_until

OPERATIONAL = ("CONNECTED", "DEGRADED")
MAIN = ("-m", "chatbot_erp.actors.main")


def end_of(log: Path) -> str:
    """What a manager has said last, without the calls that waiting is made of."""
    lines = [line for line in log.read_text(errors="replace").splitlines() if "request_answered" not in line]
    return "\n".join(lines)[-8000:]


class ManagerProcess:
    """One manager on a data directory. It may be killed and started again; a `with` block ends it."""

    def __init__(
        self,
        data_dir: Path,
        network: Network,
        *options: str,
        api_key: str | None = None,
        program: tuple[str, ...] = MAIN,
    ) -> None:
        self.data_dir = data_dir
        self.log = data_dir.parent / f"{data_dir.name}.log"
        self.out = data_dir.parent / f"{data_dir.name}.out"
        self.url = ""
        self.session = requests.Session()
        self.session.trust_env = False
        self.network = network
        self._options = options
        self.database = options[options.index("--database") + 1] if "--database" in options else None
        if self.database is None and (database := STORES.database_of(data_dir)) is not None:
            self.database = database
            self._options += ("--database", database)
        self._program = program
        self._api_key = api_key
        if api_key:
            self.session.headers["Authorization"] = f"Bearer {api_key}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *, timeout_s: float = PATIENCE_S) -> Self:
        """Start the process and wait until it listens."""
        command = [
            *(sys.executable, *self._program, "serve", "--port", "0"),
            *("--data-dir", str(self.data_dir), "--sandbox-network", self.network.control_url, *self._options),
        ]
        environment = {key: value for key, value in os.environ.items() if not key.startswith("CHATBOT_ERP_")}
        if self._api_key:
            environment["CHATBOT_ERP_API_KEY"] = self._api_key
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, env=environment)
        self.url = self._wait_for_address(timeout_s)
        return self

    def _wait_for_address(self, timeout_s: float) -> str:
        assert self._process is not None
        assert self._process.stdout is not None
        deadline = time.monotonic() + timeout_s
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            while selector.select(max(0.0, deadline - time.monotonic())):
                line = self._process.stdout.readline().decode()
                with self.out.open("a") as out:
                    out.write(line)
                if not line:
                    raise RuntimeError(f"The manager ended with {self.wait_ended()}: {end_of(self.log)}")
                if line.startswith("chatbot-erp listens on "):
                    return line.split()[-1]
        raise TimeoutError(f"The manager does not listen: {end_of(self.log)}")

    def find_again(self) -> None:
        """Where the program began anew by itself it listens elsewhere: learn where, if it has said so."""
        assert self._process is not None
        assert self._process.stdout is not None
        if self._process.stdout.closed:
            return
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            if selector.select(0) and (line := self._process.stdout.readline().decode()).startswith("chatbot-erp"):
                self.url = line.split()[-1]

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def run(self, *command: str, timeout_s: float = PATIENCE_S) -> subprocess.CompletedProcess[str]:
        """A command of the program about this manager's log, as its operator runs it, also after its end."""
        place = ("--data-dir", str(self.data_dir), "--database", self.database or "")
        line = (sys.executable, *MAIN, *command, *place)
        return subprocess.run(line, capture_output=True, text=True, timeout=timeout_s, check=False)

    def make_key(self, scope: str, instance: str | None = None) -> str:
        """A key for callers, made as its operator makes it beside it."""
        whose = ("--instance", instance) if instance is not None else ()
        made = self.run("keys", "create", "--scope", scope, *whose)
        assert made.returncode == 0, made.stderr
        return made.stdout.strip()

    def host_pids(self) -> list[int]:
        """The socket hosts that are running now."""
        pids = []
        for path in (self.data_dir / "hosts").glob("*.lock"):
            # One that has just ended takes its file with it; one that has just begun has not written it yet.
            with contextlib.suppress(OSError, ValueError):
                pids.append(int(path.read_text()))
        return sorted(pids)

    def kill(self) -> None:
        """kill -9: no farewell."""
        assert self._process is not None
        self._process.kill()
        self.wait_ended()

    def terminate(self, *, timeout_s: float = PATIENCE_S) -> int:
        """SIGTERM, and wait for the orderly end; the exit code, which is 70 where that took longer than it may."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        return self.wait_ended(timeout_s)

    def wait_ended(self, timeout_s: float = PATIENCE_S) -> int:
        """Wait until it ends; the exit code."""
        assert self._process is not None
        code = self._process.wait(timeout_s)
        if self._process.stdout is not None:
            rest = self._process.stdout.read().decode()
            with self.out.open("a") as out:
                out.write(rest)
            self._process.stdout.close()
        return code

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.session.close()
        if self._process is None or self._process.poll() is not None:
            return
        try:
            self.terminate()
        except subprocess.TimeoutExpired:
            self.kill()
            raise

    def call(self, method: str, path: str, **settings: Any) -> requests.Response:
        """One HTTP call; no exception for any status."""
        return self.session.request(method, self.url + path, timeout=settings.pop("timeout", 100), **settings)

    def create(self, name: str, webhook_url: str = "http://127.0.0.1:9/nobody") -> Any:
        answer = self.call("POST", "/instances/create", json={"name": name, "webhookUrl": webhook_url})
        assert answer.status_code == 201, answer.text
        return answer.json()

    def view(self, name: str) -> Any:
        answer = self.call("GET", f"/instances/{name}")
        assert answer.status_code == 200, answer.text
        return answer.json()

    def wait_until(self, name: str, wanted: Callable[[Any], bool], *, timeout_s: float = PATIENCE_S) -> Any:
        """Look at an instance until it is as wanted."""
        return wait_until(
            lambda: view if wanted(view := self.view(name)) else None,
            timeout_s,
            describe=lambda: f"{name} is {self.view(name)}; log: {end_of(self.log)}",
        )

    def wait_connected(self, name: str, *, timeout_s: float = PATIENCE_S) -> Any:
        return self.wait_until(name, lambda view: view["status"] in OPERATIONAL, timeout_s=timeout_s)

    def wait_still(self, name: str) -> None:
        """Wait until nothing is on its way to the log: who is cut off there learns only later what became of it."""
        found: list[int] = []
        while len(found) < 10 or len(set(found[-10:])) > 1:
            found.append(len(self.events(name)))
            time.sleep(0.05)

    def wait_erased(self, instance: str, *, timeout_s: float = PATIENCE_S) -> None:
        """Wait until nothing of this instance's session is left."""

        def left() -> list[str]:
            files = [path.name for path in (self.data_dir / "sessions").glob(f"{instance}*")]
            return files + [each for each in owners(self.database) if each == instance] if self.database else files

        wait_until(lambda: not left(), timeout_s, describe=left)

    def pair(self, name: str, phone: Phone, webhook_url: str = "http://127.0.0.1:9/nobody") -> Any:
        """Create an instance, scan its QR with the phone, and wait until it is connected."""
        created = self.create(name, webhook_url)
        view = self.wait_until(name, lambda view: view["qr"] is not None)
        phone.scan(view["qr"])
        self.wait_connected(name)
        return created

    def send(self, name: str, number: str, message: str, **settings: Any) -> requests.Response:
        return self.call("POST", f"/instances/{name}/message", json={"number": number, "message": message}, **settings)

    def wait_event(self, name: str, kind: str, *, count: int = 1, timeout_s: float = PATIENCE_S) -> None:
        """Wait until so many events of this type are in the log of an instance."""
        wait_until(
            lambda: len(self.events(name, kind)) >= count,
            timeout_s,
            describe=lambda: f"not {count} {kind} in {[event['type'] for event in self.events(name)[-40:]]}",
        )

    def events(self, name: str, *types: str) -> list[Any]:
        """The whole log of an instance, read page by page."""
        found: list[Any] = []
        after = 0
        while True:
            page = self.call("GET", f"/instances/{name}/events", params={"after": after, "limit": 500}).json()
            if not page["events"]:
                return [event for event in found if not types or event["type"] in types]
            found += page["events"]
            after = page["next"]
