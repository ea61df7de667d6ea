"""Messages through the whole program, and what they cost. Each figure is a plain number; units are in its name."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

from load.world import Script, World

CUSTOMERS = 8
ACKS = 2
"""Of each send: delivered and read. The second is the last that is heard of it."""


def percentile(values: Sequence[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))] if values else float("nan")


def sends(world: World, callers: int, size: int, seconds: float) -> dict[str, Any]:
    """Callers send over REST as fast as they are answered; the cost includes all webhooks."""
    told, before = world.seen()["counts"], world.cost()
    with Script("caller", world.manager.url) as script:
        script.begin(calls(world, callers, size, seconds, 0))
        answer = script.finish()
    sent = answer["statuses"].get("200", 0)
    late_s = world.settle("message.ack", told.get("message.ack", 0) + ACKS * sent)
    cost = world.cost() - before
    webhooks = sum(world.seen()["counts"].values()) - sum(told.values())
    return {
        "sent": sent,
        "failed": sum(answer["statuses"].values()) - sent,
        "per_s": sent / answer["seconds"],
        "p50_ms": percentile(answer["took"], 0.5) * 1000,
        "p99_ms": percentile(answer["took"], 0.99) * 1000,
        "webhooks_per_send": webhooks / max(1, sent),
        "webhooks_late_s": late_s,
        **cost.per_thousand(sent),
    }


def receives(world: World, seconds: float) -> dict[str, Any]:
    """Customers write to the numbers as fast as the sandbox takes it, until the last webhook is there."""
    told, before = world.seen()["counts"].get("message.received", 0), world.cost()
    begun = time.monotonic()
    with Script("customer", world.network.control_url) as script:
        script.begin(letters(world, seconds, 0))
        written = script.finish()["written"]
    world.settle("message.received", told + written)
    took = time.monotonic() - begun
    cost = world.cost() - before
    received = world.seen()["counts"].get("message.received", 0) - told
    return {"lost": written - received, "per_s": received / took, **cost.per_thousand(received)}


def paced(world: World, per_s: float, seconds: float) -> dict[str, Any]:
    """Half of the messages out, half of them in, at a pace that nobody queues at.

    `lost` are messages that were written and not told; `untold` what is to be told of those sent, and was not.
    """
    told, before = Counter(world.seen()["counts"]), world.cost()
    with ExitStack() as stack:
        caller = stack.enter_context(Script("caller", world.manager.url))
        customer = stack.enter_context(Script("customer", world.network.control_url))
        caller.begin(calls(world, 8, 40, seconds, per_s / 2))
        customer.begin(letters(world, seconds, per_s / 2))
        customer_says, caller_says = customer.finish(), caller.finish()
    sent = caller_says["statuses"].get("200", 0)
    due = {"message.received": customer_says["written"], "message.sent": sent, "message.ack": ACKS * sent}
    for event, count in due.items():
        world.settle(event, told[event] + count)
    cost = world.cost() - before
    seen = world.seen()
    missing = {event: told[event] + count - seen["counts"].get(event, 0) for event, count in due.items()}
    delays = seen["latencies"]
    return {
        "per_s": (sent + customer_says["written"]) / seconds,
        "failed": sum(caller_says["statuses"].values()) - sent,
        "lost": missing["message.received"],
        "untold": missing["message.sent"] + missing["message.ack"],
        "send_p50_ms": percentile(caller_says["took"], 0.5) * 1000,
        "send_p99_ms": percentile(caller_says["took"], 0.99) * 1000,
        "webhook_p50_ms": percentile(delays, 0.5) * 1000,
        "webhook_p99_ms": percentile(delays, 0.99) * 1000,
        **cost.per_thousand(sent + customer_says["written"]),
    }


def calls(world: World, callers: int, size: int, seconds: float, per_s: float) -> dict[str, Any]:
    customer = world.network.phone("5521900000000")
    numbers = [{"name": f"n{index}", "to": customer.number} for index in range(len(world.phones))]
    return {"numbers": numbers, "callers": callers, "size": size, "seconds": seconds, "per_s": per_s}


def letters(world: World, seconds: float, per_s: float) -> dict[str, Any]:
    return {"numbers": world.numbers(), "customers": CUSTOMERS, "seconds": seconds, "per_s": per_s}
