"""Customers who write to the numbers, each on a thread of its own. Run by path: control URL, JSON of what to do on stdin.

Answers one line of JSON: how many messages were written, and in how many seconds. Each text ends in the moment it was
written, by the wall clock.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from typing import Any

from chatbot_erp.sandbox.client import Network


def main(url: str, wanted: dict[str, Any]) -> None:
    network = Network.connect(url)
    count, numbers, per_s = wanted["customers"], wanted["numbers"], wanted["per_s"]
    customers = [network.phone(f"552198{n:07}") for n in range(count)]
    written = [0] * count
    begun = time.monotonic()
    end = begun + wanted["seconds"]

    def write(part: int) -> None:
        # Their chats are the same each time, so that what a first message costs is paid in the first run.
        mine = numbers[part::count] or [numbers[part % len(numbers)]]
        due = time.monotonic() + part / max(1.0, per_s)
        while due < end and time.monotonic() < end:
            if per_s:
                time.sleep(max(0.0, due - time.monotonic()))
                due += count / per_s
            customers[part].send(mine[written[part] % len(mine)], f"oi {time.time()}")
            written[part] += 1

    writers = [threading.Thread(target=write, args=(part,)) for part in range(count)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    print(json.dumps({"written": sum(written), "took": time.monotonic() - begun}))
    network.stop()


main(sys.argv[1], json.load(sys.stdin))
