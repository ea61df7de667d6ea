"""`make demo`: a manager, a number, a customer, a message and its answer, all on this machine.

With `--once` it ends when everything was shown; otherwise the manager goes on until Ctrl-C.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import IO, Any

import requests
from rich.console import Console

from chatbot_erp.sandbox.client import Network

SHOP = "5591988887777"
CUSTOMER = "5591977776666"
NAME = "empresa_x"
PATIENCE_S = 45.0
"""Longer than an orderly end may take."""

console = Console(highlight=False)
calls = requests.Session()
calls.trust_env = False  # a proxy that the environment names has no way to this machine


class Inbox:
    """The company's API: where the manager delivers."""

    def __init__(self) -> None:
        self.payloads: list[Any] = []
        self._arrived = threading.Condition()
        inbox = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                payload = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                self.send_response(204)
                self.end_headers()
                inbox.take(payload)

            def log_message(self, *args: object) -> None:
                """Quiet: what came is printed by the demo."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/webhook/whatsapp"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def take(self, payload: Any) -> None:
        with self._arrived:
            self.payloads.append(payload)
            self._arrived.notify_all()

    def wait_for(self, event: str, **fields: Any) -> Any:
        """The first delivery of this event whose `message` has these fields."""

        def found() -> Any:
            for payload in self.payloads:
                if payload["event"] == event and fields.items() <= payload.get("message", {}).items():
                    return payload
            return None

        with self._arrived:
            if not self._arrived.wait_for(found, PATIENCE_S):
                raise TimeoutError(f"No {event} came to the webhook.")
            return found()


@contextlib.contextmanager
def stage() -> Iterator[Path]:
    """A folder for what is shown. SIGTERM ends it as Ctrl-C does: what was started in it is taken along."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    expected = () if ends_by_itself() else (KeyboardInterrupt,)
    with contextlib.suppress(*expected), tempfile.TemporaryDirectory(prefix="chatbot-erp-demo-") as folder:
        yield Path(folder)


def ends_by_itself() -> bool:
    """Whether it ends when everything was shown."""
    return "--once" in sys.argv[1:]


def stay() -> None:
    """Everything was shown: now somebody may look around."""
    if not ends_by_itself():
        console.print("Ctrl-C ends it.")
        signal.pause()


def launch(*options: str, log: IO[bytes]) -> subprocess.Popen[str]:
    """`chatbot-erp serve`, whatever options the environment has. Ctrl-C is for this process: it sees to that one's end."""
    command = [sys.executable, "-m", "chatbot_erp.actors.main", "serve", *options]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CHATBOT_ERP_")}
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=log, text=True, start_new_session=True, env=environment
    )


def end(process: subprocess.Popen[str]) -> None:
    """SIGTERM, and in the end SIGKILL."""
    try:
        process.send_signal(signal.SIGTERM)
        process.wait(PATIENCE_S)
    finally:
        process.kill()
        process.wait()


@contextlib.contextmanager
def manager(data_dir: Path) -> Iterator[tuple[str, Network]]:
    """`chatbot-erp serve --sandbox`; its address, and the network it runs on."""
    log = (data_dir.parent / "manager.log").open("ab")
    process = launch("--sandbox", "--data-dir", str(data_dir), "--port", free_port(), log=log)
    assert process.stdout is not None
    network = None
    try:
        for line in process.stdout:
            if line.startswith("sandbox network: "):
                network = Network.connect(line.split()[-1])
            if line.startswith("chatbot-erp listens on ") and network is not None:
                yield line.split()[-1], network
                return
        raise RuntimeError(f"The manager did not start: {(data_dir.parent / 'manager.log').read_text()}")
    finally:
        end(process)
        process.stdout.close()
        log.close()
        if network is not None:
            network.stop()


def free_port() -> str:
    """3000, as in the contract, unless something else has it."""
    import socket

    with socket.socket() as probe:
        return "0" if probe.connect_ex(("127.0.0.1", 3000)) == 0 else "3000"


def wait_for_status(url: str, wanted: str) -> Any:
    """The instance, as soon as it has this status (or a QR, where one is wanted)."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        view = calls.get(f"{url}/instances/{NAME}", timeout=10).json()
        if view["status"] == wanted and (wanted != "SCAN_QR_CODE" or view["qr"]):
            return view
        time.sleep(0.05)
    raise TimeoutError(f"{NAME} did not become {wanted}.")


def step(text: str) -> None:
    console.print(f"\n[bold green]▸[/] [bold]{text}[/]")


def show(url: str, network: Network) -> None:
    """Everything a newcomer wants to see once."""
    inbox = Inbox()
    shop, customer = network.phone(SHOP, name="Empresa X"), network.phone(CUSTOMER, name="Maria")
    customer.set_echo(True)

    step(f"POST /instances/create: a number named {NAME}, its webhook at {inbox.url}")
    body = {"name": NAME, "webhookUrl": inbox.url}
    created = calls.post(f"{url}/instances/create", json=body, timeout=10).json()
    console.print_json(data=created | {"webhookSecret": "whsec_… (shown once)"})

    step("GET /instances/empresa_x/qr: the phone scans it")
    view = wait_for_status(url, "SCAN_QR_CODE")
    blocks = calls.get(f"{url}/instances/{NAME}/qr", headers={"Accept": "text/plain"}, timeout=10)
    print(blocks.text)
    shop.scan(view["qr"])
    view = wait_for_status(url, "CONNECTED")
    console.print(f"  {view['status']} as {view['user']['jid']}")

    step(f"POST /instances/{NAME}/message: to a customer, who answers with the same words")
    message = {"number": CUSTOMER, "message": "Olá, Maria! 👋"}
    sent = calls.post(f"{url}/instances/{NAME}/message", json=message, timeout=90).json()
    console.print_json(data=sent)
    inbox.wait_for("message.received", text=message["message"])

    step("What the webhook was told")
    for payload in list(inbox.payloads):
        detail = payload.get("message", {}).get("text") or payload.get("ack") or payload["instance"].get("status")
        console.print(f"  {payload['sequence']:>3}  {payload['event']:<18} {detail}")

    step("What the log has on record (GET /instances/empresa_x/events)")
    page = calls.get(f"{url}/instances/{NAME}/events", params={"limit": 100}, timeout=10).json()
    for event in page["events"]:
        console.print(f"  {event['position']:>3}  {event['recordedAt']:<28} {event['type']:<24} {event['hash'][:12]}…")


def main() -> None:
    with stage() as folder, manager(folder / "data") as (url, network):
        show(url, network)
        console.print(f"\n[bold]Dashboard: {url}/[/]    API: {url}/docs")
        stay()


if __name__ == "__main__":
    main()
