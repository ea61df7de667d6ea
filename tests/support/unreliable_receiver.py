"""A receiver that fails, hangs and disappears at random, and remembers what it has truly taken."""

from __future__ import annotations

import asyncio
import json
import random
import socket
import threading
from collections import defaultdict
from typing import Any


class UnreliableReceiver:
    """Listens on 127.0.0.1 in a thread of its own; each path is an instance. `chance` is that of each kind of failure."""

    def __init__(self, seed: int, *, chance: float, hang_s: float, away_every_s: float, away_s: float) -> None:
        self._random = random.Random(seed)
        self._chance = chance
        self._hang_s = hang_s
        self._away_every_s, self._away_s = away_every_s, away_s
        self.taken: defaultdict[str, list[tuple[int, str]]] = defaultdict(list)
        """By path: sequence and id of what was answered with 200, in that order."""
        self.failures: defaultdict[str, int] = defaultdict(int)
        # Bound and never listening: it keeps the port from everybody else while the receiver is away.
        self._place = socket.socket()
        self._place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._place.bind(("127.0.0.1", 0))
        self.port = self._place.getsockname()[1]
        self._well = threading.Event()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)

    def start(self) -> UnreliableReceiver:
        self._thread.start()
        assert self._ready.wait(60)
        return self

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def recover(self) -> None:
        """Take everything from now on."""
        self._well.set()

    async def _serve(self) -> None:
        while True:
            server = await asyncio.start_server(self._talk, "127.0.0.1", self.port)
            self._ready.set()
            await asyncio.sleep(self._away_every_s)
            if self._well.is_set():
                await server.serve_forever()
            server.close()
            self.failures["away"] += 1
            await asyncio.sleep(self._away_s)

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                path = head.split(" ", 2)[1]
                length = int(head.lower().partition("content-length:")[2].split("\r\n", 1)[0])
                if not await self._answer(path, json.loads(await reader.readexactly(length)), writer):
                    return
        except (OSError, asyncio.IncompleteReadError):
            return
        finally:
            writer.close()

    async def _answer(self, path: str, payload: Any, writer: asyncio.StreamWriter) -> bool:
        """Whether the connection is kept."""
        draw = 4.0 if self._well.is_set() else self._random.random() / self._chance
        if draw < 1:
            self.failures["refused"] += 1
            writer.write(b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n")
        elif draw < 2:
            self.failures["hung"] += 1
            await asyncio.sleep(self._hang_s)
            return False
        elif draw < 3:
            self.failures["reset"] += 1
            writer.transport.abort()
            return False
        else:
            self.taken[path].append((payload["sequence"], payload["id"]))
            if draw < 4:
                self.failures["taken without an answer"] += 1
                return False
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        return True
