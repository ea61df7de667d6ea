"""The network as a process: `python -m chatbot_erp.sandbox.server`.

It prints one line of JSON that says where it is found, and serves until its standard input closes, SIGTERM or SIGINT
comes, or the process that started it is gone. It listens on 127.0.0.1 only.
"""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import ssl
import sys
import tempfile
import threading
from pathlib import Path

import msgspec
import trustme

from chatbot_erp.sandbox.control import Address
from chatbot_erp.sandbox.control_server import ControlServer
from chatbot_erp.sandbox.door import HOSTS, Door
from chatbot_erp.sandbox.network import NetworkState

_PARENT_CHECK_S = 1.0


async def serve(directory: Path) -> None:
    """Run one network until the process is told to stop."""
    loop, stopped, parent = asyncio.get_running_loop(), asyncio.Event(), os.getppid()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    ca = trustme.CA(organization_name="chatbot-erp sandbox")
    ca_file = directory / "ca.pem"
    ca.cert_pem.write_to_path(ca_file)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert(*HOSTS).configure_cert(tls)

    network = NetworkState(directory / "media")
    control = ControlServer(network)
    control_server, control_port = await control.listen()
    proxy = await loop.create_server(lambda: Door(network, tls), "127.0.0.1", 0, backlog=1024)
    control.address = Address(
        control=f"tcp://127.0.0.1:{control_port}",
        proxy=f"http://127.0.0.1:{proxy.sockets[0].getsockname()[1]}",
        ca_file=str(ca_file),
        root_key=network.identity.root_key.hex(),
    )
    print(msgspec.json.encode(control.address).decode(), flush=True)
    threading.Thread(target=_watch_stdin, args=(loop, stopped), daemon=True).start()
    # What stands here stays: the collector need not look through it again with every message.
    gc.freeze()
    while not stopped.is_set() and os.getppid() == parent:
        try:
            await asyncio.wait_for(stopped.wait(), _PARENT_CHECK_S)
        except TimeoutError:
            continue
    for server in (proxy, control_server):
        server.close()
    for stream in tuple(network.streams):
        stream.abort()


def _watch_stdin(loop: asyncio.AbstractEventLoop, stopped: asyncio.Event) -> None:
    while os.read(sys.stdin.fileno(), 4096):
        pass
    loop.call_soon_threadsafe(stopped.set)


def main() -> None:
    """Serve, and leave nothing behind."""
    with tempfile.TemporaryDirectory(prefix="chatbot-erp-sandbox-") as directory:
        asyncio.run(serve(Path(directory)))


if __name__ == "__main__":
    main()
