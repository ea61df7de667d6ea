"""How long things take, in seconds, as Prometheus keeps it: observed by actors, collected by any thread."""

from collections.abc import Iterator
from functools import cache

from prometheus_client import Histogram
from prometheus_client.metrics_core import Metric

from chatbot_erp.actors.webhook import NoAnswer, Outcome

DISK_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
RECEIVER_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15, 30, 60)


class Latencies:
    """Any thread may observe."""

    def __init__(self) -> None:
        self.append = Histogram(
            "chatbot_erp_append_seconds",
            "From handing events to the log until they are durable.",
            buckets=DISK_S,
            registry=None,
        )
        self.webhook = Histogram(
            "chatbot_erp_webhook_seconds",
            "One attempt to post to a receiver, by the class of its status, or by what failed before there was one.",
            labelnames=("outcome",),
            buckets=RECEIVER_S,
            registry=None,
        )
        self._webhook_by = cache(self.webhook.labels)

    def observe_post(self, outcome: Outcome) -> None:
        """Count one attempt at a receiver."""
        kind = outcome.error if isinstance(outcome, NoAnswer) else f"{outcome.status // 100}xx"
        self._webhook_by(kind).observe(outcome.duration_ms / 1000)

    def collect(self) -> Iterator[Metric]:
        """What Prometheus shall be told."""
        yield from self.append.collect()
        yield from self.webhook.collect()
