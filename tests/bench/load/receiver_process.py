"""A webhook receiver that answers at once. Run by path; what it has seen it tells a line of JSON for a line of input.

After a line that is not `keep` the latencies are forgotten.
`message.received` events whose text ends in a moment of the sender's clock (`time.time()`) are timed.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import Counter
from typing import Any

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
counts: Counter[str] = Counter()
latencies: list[float] = []


class Receiver(asyncio.Protocol):
    """One keep-alive connection of the manager."""

    def __init__(self) -> None:
        self._held = b""
        self._transport: asyncio.Transport

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._held += data
        while (end := self._held.find(b"\r\n\r\n")) >= 0:
            head = self._held[:end].lower()
            start = head.index(b"content-length:") + 15
            length = int(head[start : (head + b"\r\n").index(b"\r\n", start)])
            if len(self._held) < end + 4 + length:
                return
            body, self._held = self._held[end + 4 : end + 4 + length], self._held[end + 4 + length :]
            self._transport.write(OK)
            event = body[10 : body.index(b'"', 10)].decode()
            counts[event] += 1
            if event == "message.received":
                sent_at = json.loads(body)["message"]["text"].rpartition(" ")[2]
                if "." in sent_at:
                    latencies.append(time.time() - float(sent_at))


async def main() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Receiver, "127.0.0.1", 0)
    print(json.dumps({"port": server.sockets[0].getsockname()[1]}), flush=True)
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        print(json.dumps({"counts": counts, "latencies": latencies}), flush=True)
        if line != "keep\n":
            latencies.clear()


asyncio.run(main())
