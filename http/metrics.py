"""Numbers for Prometheus, read from the actors' views and the log when they are asked for.

What there is none of is 0, so that no series comes and goes. No label names an instance: thousands of numbers would be
thousands of series. `GET /instances` and the log say which one.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from chatbot_erp.actors.fates import Fate
from chatbot_erp.actors.manager import Manager
from chatbot_erp.actors.supervision import REMEDIES
from chatbot_erp.actors.tallies import DISREGARDED, EVENTS, FATES
from chatbot_erp.eventstore.errors import StoreError
from chatbot_erp.eventstore.events import EVENT_NAMES, Status
from chatbot_erp.http.exchange import Request, Response

CALL_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 90)

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
CAUSES = (*REMEDIES, "requested")
HOST_ENDS = ("host_died", "host_hung")
ACTOR_ENDS = ("actor_failed", "actor_stuck", "requested", "webhook_failed", "webhook_stuck")


class Metrics:
    """All of them, in Prometheus' text format."""

    def __init__(self, manager: Manager) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(Census(manager))
        calls = Histogram(
            "chatbot_erp_http_seconds",
            "From a request's head to its answer, by route.",
            labelnames=("method", "route", "status"),
            buckets=CALL_S,
            registry=self._registry,
        )
        self._calls_by = cache(calls.labels)
        ProcessCollector(registry=self._registry)

    def on_get(self, req: Request, resp: Response) -> None:
        resp.content_type = CONTENT_TYPE_LATEST
        resp.data = generate_latest(self._registry)

    def families(self) -> Iterator[Metric]:
        """What there is to be told."""
        return iter(self._registry.collect())

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a call. `route` is the template of its path, of which there are few; callers invent methods."""
        self._calls_by(method if method in METHODS else "other", route, f"{status // 100}xx").observe(seconds)


class Census(Collector):
    """Counts instances, messages and events, and measures what waits and what it costs."""

    def __init__(self, manager: Manager) -> None:
        self._manager = manager

    def collect(self) -> Iterator[Metric]:
        yield gauge("build_info", "The version that runs.", {version("chatbot-erp"): 1}, "version")
        yield gauge("ready", "1 while new work is taken.", self._manager.unready() is None)
        statuses = Counter(view.status for view in self._manager.directory.views(coming=False))
        yield gauge("instances", "Instances by status.", {each.value: statuses[each] for each in Status}, "status")
        missing = len(self._manager.directory.missing())
        yield gauge("instances_missing", "Instances that could not be brought back: the log does not read.", missing)
        yield from self._counters()
        yield from self._hosts()
        yield from self._manager.latencies()
        try:
            yield from self._log()
        except StoreError:
            return  # `chatbot_erp_ready` says so

    def _counters(self) -> Iterator[Metric]:
        counted = self._manager.tallies()

        def counter(name: str, help_: str, tally: str, label: str, known: Iterable[str] = ()) -> Metric:
            found = dict.fromkeys(known, 0) | {by: count for (what, by), count in counted.items() if what == tally}
            family = CounterMetricFamily(f"chatbot_erp_{name}", f"{help_} Since the start.", labels=[label])
            for by, count in found.items():
                family.add_metric([by], count)
            return family

        yield counter("events", "Events written to the log by type.", EVENTS, "type", EVENT_NAMES.values())
        yield counter("messages", "Messages by how far they have come.", FATES, "fate", Fate)
        yield counter("restarts", "New sockets by cause.", "restarts", "cause", CAUSES)
        yield counter("quarantines", "Instances that failed too often, by cause.", "quarantines", "cause")
        yield counter(
            "hosts_lost", "Socket processes that died with numbers in them.", "hosts_lost", "cause", HOST_ENDS
        )
        replaced = "Actors that failed or hung and were replaced."
        yield counter("actors_replaced", replaced, "actors_replaced", "cause", ACTOR_ENDS)
        said = "Changes of messages by others than their writers, which were not believed, by kind."
        yield counter("disregarded", said, DISREGARDED, "kind")
        yield counter("parked", "What could not be handled and was put aside, by kind.", "parked", "kind")

    def _hosts(self) -> Iterator[Metric]:
        hosts = self._manager.host_vitals()
        memory = [host.rss_bytes for host in hosts]
        yield gauge("hosts", "Socket processes.", len(hosts))
        yield gauge("hosts_memory_bytes", "Resident memory of all socket processes.", sum(memory))
        yield gauge("largest_host_memory_bytes", "Of the largest of them.", max(memory, default=0))
        most = max((host.descriptors for host in hosts), default=0)
        yield gauge("largest_host_descriptors", "Open files of the one that has most.", most)

    def _log(self) -> Iterator[Metric]:
        store = self._manager.store
        outstanding = store.outstanding()
        age = (datetime.now(UTC) - outstanding.oldest).total_seconds() if outstanding.oldest else 0.0
        yield gauge("log_position", "The last position of the log.", store.head())
        yield gauge("webhook_backlog", "Deliveries that wait.", outstanding.waiting)
        yield gauge("webhook_backlog_age_seconds", "How long ago the oldest of them happened.", max(0.0, age))
        yield gauge("webhook_dead_letters", "Deliveries that were given up and not asked for again.", outstanding.dead)


def gauge(name: str, help_: str, value: float | dict[str, int], label: str | None = None) -> Metric:
    """One number, or one by each value of a label."""
    family = GaugeMetricFamily(f"chatbot_erp_{name}", help_, labels=[label] if label else None)
    for by, number in value.items() if isinstance(value, dict) else ((None, value),):
        family.add_metric([] if by is None else [by], number)
    return family
