"""How the manager itself is."""

from datetime import UTC, datetime

from chatbot_erp.actors.config import Config
from chatbot_erp.actors.manager import Manager
from chatbot_erp.eventstore.company import Seen
from chatbot_erp.http.exchange import Request, Response
from chatbot_erp.http.payloads import Health, Node
from chatbot_erp.http.problems import NOT_READY, RequestRefused

HEALTH_CALLS = ("/livez", "/readyz")
"""Answered whatever else hangs: no database is asked for them, nor who calls."""


class Livez:
    """Whether it is worth keeping: an answer is the proof."""

    def on_get(self, req: Request, resp: Response) -> None:
        resp.send(Health(status="alive"))


class Readyz:
    """Whether new work should come here."""

    def __init__(self, manager: Manager) -> None:
        self._manager = manager

    def on_get(self, req: Request, resp: Response) -> None:
        trouble = self._manager.unready()
        if trouble is not None:
            raise RequestRefused(NOT_READY, trouble)
        resp.send(Health(status="ready"))


class Nodes:
    """The managers that share this log."""

    def __init__(self, manager: Manager, config: Config) -> None:
        self._manager = manager
        self._config = config

    def on_get(self, req: Request, resp: Response) -> None:
        if seen := self._manager.store.company.nodes():
            resp.send([node(each) for each in seen])
            return
        host = f"[{self._config.host}]" if ":" in self._config.host else self._config.host
        # The port that is listened on, which the configuration may have left to the system.
        listens_on = f"http://{host}:{req.env['SERVER_PORT']}"
        alone = Node(
            name=self._config.node,
            url=self._config.advertise or listens_on,
            instances=len(self._manager.directory.views()),
            seen_at=datetime.now(UTC),
            alive=True,
        )
        resp.send([alone])


def node(seen: Seen) -> Node:
    """As callers see it."""
    return Node(name=seen.name, url=seen.url, instances=seen.instances, seen_at=seen.seen_at, alive=seen.alive)
