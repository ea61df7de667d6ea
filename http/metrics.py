"""Numbers for Prometheus, read from the actors' views when they are asked for."""

from collections import Counter
from collections.abc import Iterator

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from chatbot_erp.actors.manager import Manager
from chatbot_erp.actors.tallies import EVENTS
from chatbot_erp.eventstore.events import EVENT_NAMES, Status
from chatbot_erp.http.exchange import Request, Response


class Metrics:
    """All of them, in Prometheus' text format."""

    def __init__(self, manager: Manager) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(Census(manager))

    def on_get(self, req: Request, resp: Response) -> None:
        resp.content_type = CONTENT_TYPE_LATEST
        resp.data = generate_latest(self._registry)


class Census(Collector):
    """Counts instances and events; what there is none of is 0, so that no series comes and goes."""

    def __init__(self, manager: Manager) -> None:
        self._manager = manager

    def collect(self) -> Iterator[Metric]:
        counts = Counter(view.status for view in self._manager.directory.views())
        family = GaugeMetricFamily("chatbot_erp_instances", "Instances by status.", labels=["status"])
        for status in Status:
            family.add_metric([status.value], counts[status])
        yield family
        written = CounterMetricFamily("chatbot_erp_events", "Events written to the log by type.", labels=["type"])
        counted = self._manager.tallies()
        for name in EVENT_NAMES.values():
            written.add_metric([name], counted.get((EVENTS, name), 0))
        yield written
        ready = GaugeMetricFamily("chatbot_erp_ready", "1 while new work is taken.")
        ready.add_metric([], self._manager.unready() is None)
        yield ready
