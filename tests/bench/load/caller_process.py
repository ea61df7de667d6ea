"""Callers of the REST interface, each with a connection of its own. Run by path: URL, JSON of what to do on stdin.

Answers one line of JSON: how many were answered with which status, and how long each 200 took.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from collections import Counter
from typing import Any
from urllib.parse import urlsplit

statuses: Counter[int] = Counter()
took: list[float] = []


async def call(
    host: str, port: int, numbers: list[dict[str, str]], text: str, end: float, turn: int, every_s: float
) -> None:
    """One after the other, as fast as they are answered or, with `every_s`, at that pace."""
    reader, writer = await asyncio.open_connection(host, port)
    due = time.monotonic() + random.random() * every_s
    while time.monotonic() < end:
        if every_s:
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            due += every_s
        turn += 1
        number = numbers[turn % len(numbers)]
        body = json.dumps({"number": number["to"], "message": f"{text} {turn}"}).encode()
        head = (
            f"POST /instances/{number['name']}/message HTTP/1.1\r\nHost: {host}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        begun = time.perf_counter()
        writer.write(head.encode() + body)
        answer = await reader.readuntil(b"\r\n\r\n")
        length = int(answer.lower().split(b"content-length:")[1].split(b"\r\n")[0])
        await reader.readexactly(length)
        status = int(answer.split(b" ", 2)[1])
        statuses[status] += 1
        if status == 200:
            took.append(time.perf_counter() - begun)
    writer.close()


async def main(url: str, wanted: dict[str, Any]) -> None:
    to = urlsplit(url)
    assert to.hostname
    assert to.port
    end = time.monotonic() + wanted["seconds"]
    text, numbers, callers = "x" * wanted["size"], wanted["numbers"], wanted["callers"]
    step = max(1, len(numbers) // callers)
    every_s = callers / wanted["per_s"] if wanted["per_s"] else 0.0
    begun = time.monotonic()
    await asyncio.gather(*(call(to.hostname, to.port, numbers, text, end, n * step, every_s) for n in range(callers)))
    print(json.dumps({"statuses": statuses, "took": took, "seconds": time.monotonic() - begun}))


asyncio.run(main(sys.argv[1], json.load(sys.stdin)))
