"""What the program as a whole does and costs, beside what the library does when it is called directly.

    python tests/bench/bench_program.py [--instances 5,20] [--callers 16] [--size 40] [--seconds 10] [--json FILE]

Everything runs on 127.0.0.1 against the sandbox network. Figures are printed, not judged; the sandbox, the callers and
the receiver share the machine with the program, and their part is told apart.
"""

from __future__ import annotations

import argparse
import json
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "support")]

from load.direct import direct_rate
from load.world import Script, World, world

SETTLE_S = 60.0
CUSTOMERS = 4


def percentile(values: Sequence[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))] if values else float("nan")


def settle(world: World, event: str, count: int) -> float:
    """Wait until the receiver has so many of an event; the seconds that took."""
    begun = time.monotonic()
    while world.seen(keep=True)["counts"].get(event, 0) < count and time.monotonic() - begun < SETTLE_S:
        time.sleep(0.05)
    return time.monotonic() - begun


def sends(world: World, callers: int, size: int, seconds: float) -> dict[str, Any]:
    """Callers send over REST as fast as they are answered; the cost includes all webhooks."""
    customer = world.network.phone("5521900000000")
    numbers = [{"name": f"n{index}", "to": customer.number} for index in range(len(world.phones))]
    told = world.seen()["counts"]
    before = world.cost()
    with Script("caller", world.manager.url) as script:
        script.tell(json.dumps({"numbers": numbers, "callers": callers, "size": size, "seconds": seconds}))
        begun = time.monotonic()
        answer = script.finish()
    took = time.monotonic() - begun
    sent = answer["statuses"].get("200", 0)
    # The second ack of each send is the last that is heard of it.
    late_s = settle(world, "message.ack", told.get("message.ack", 0) + 2 * sent)
    cost = world.cost() - before
    webhooks = sum(world.seen()["counts"].values()) - sum(told.values())
    return {
        "statuses": answer["statuses"],
        "per_s": sent / took,
        "p50_ms": percentile(answer["took"], 0.5) * 1000,
        "p99_ms": percentile(answer["took"], 0.99) * 1000,
        "webhooks_per_send": webhooks / max(1, sent),
        "webhooks_late_s": late_s,
        **per_thousand(cost, sent),
    }


def per_thousand(cost: Any, count: int) -> dict[str, float]:
    share = 1000 / max(1, count)
    return {
        "manager_cpu_s": cost.manager * share,
        "hosts_cpu_s": cost.hosts * share,
        "program_cpu_s": (cost.manager + cost.hosts) * share,
        "sandbox_cpu_s": cost.sandbox * share,
    }


def receives(world: World, per_s: float | None, seconds: float) -> dict[str, Any]:
    """Customers write to the numbers, at a pace or as fast as the sandbox takes it."""
    told = world.seen()["counts"].get("message.received", 0)
    customers = [world.network.phone(f"552198{n:07}") for n in range(CUSTOMERS)]
    before, end, sent = world.cost(), time.monotonic() + seconds, [0] * CUSTOMERS
    pause_s = 0.0 if per_s is None else CUSTOMERS / per_s

    def write(part: int) -> None:
        due = time.monotonic()
        while time.monotonic() < end:
            to = world.phones[(sent[part] * CUSTOMERS + part) % len(world.phones)]
            customers[part].send(to.number, f"oi {time.time()}")
            sent[part] += 1
            due += pause_s
            time.sleep(max(0.0, due - time.monotonic()))

    writers = [threading.Thread(target=write, args=(part,)) for part in range(CUSTOMERS)]
    begun = time.monotonic()
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    count = sum(sent)
    settle(world, "message.received", told + count)
    took = time.monotonic() - begun
    cost = world.cost() - before
    seen = world.seen()
    got = seen["counts"].get("message.received", 0) - told
    return {"sent": count, "received": got, "per_s": got / took, **per_thousand(cost, got)}


def latencies(world: World, per_s: float, seconds: float) -> dict[str, Any]:
    """From the customer's send to the webhook, at a pace that nobody queues at."""
    told = world.seen()["counts"].get("message.received", 0)
    customer = world.network.phone("5521977777777")
    count = 0
    due = time.monotonic()
    end = due + seconds
    while time.monotonic() < end:
        customer.send(world.phones[count % len(world.phones)].number, f"oi {time.time()}")
        count += 1
        due += 1 / per_s
        time.sleep(max(0.0, due - time.monotonic()))
    settle(world, "message.received", told + count)
    seen = world.seen()["latencies"]
    return {"p50_ms": percentile(seen, 0.5) * 1000, "p99_ms": percentile(seen, 0.99) * 1000}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--instances", default="5,20")
    parser.add_argument("--callers", default="16")
    parser.add_argument("--size", type=int, default=40)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--only", default="direct,sends,receives")
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    results: list[dict[str, Any]] = []

    def report(what: str, **figures: Any) -> None:
        results.append({"what": what, **figures})
        print(what, *(f"{k}={v:.4g}" if isinstance(v, float) else f"{k}={v}" for k, v in figures.items()), flush=True)

    for count in map(int, asked.instances.split(",")):
        if "direct" in asked.only:
            report("direct", instances=count, **direct_rate(count, asked.size, asked.seconds))
        with world() as one:
            one.admit(count)
            report("memory", instances=count, mb=one.memory_mb())
            if "sends" in asked.only:
                for callers in map(int, asked.callers.split(",")):
                    figures = sends(one, callers, asked.size, asked.seconds)
                    report("sends", instances=count, callers=callers, **figures)
            if "receives" in asked.only:
                report("latency", instances=count, **latencies(one, 20, asked.seconds))
                report("receives", instances=count, **receives(one, None, asked.seconds))
            report("memory", instances=count, mb=one.memory_mb())
    if asked.json:
        asked.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
