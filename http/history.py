"""What has happened: pages of the log, and how an instance was then. Removed instances have a history too."""

from chatbot_erp.actors.errors import InstanceNotFound
from chatbot_erp.actors.manager import Manager
from chatbot_erp.http import payloads, queries
from chatbot_erp.http.exchange import Request, Response


class Events:
    """The log, in pages by global position; `next` is where the next page begins."""

    def __init__(self, manager: Manager) -> None:
        self._manager = manager

    def on_get(self, req: Request, resp: Response) -> None:
        wanted = queries.one(req, "instance")
        self._page(req, resp, stream_of(self._manager, wanted) if wanted else None)

    def on_get_instance(self, req: Request, resp: Response, name: str) -> None:
        before = queries.before(req)
        stream = stream_of(self._manager, name)
        if before is None:
            self._page(req, resp, stream)
        else:
            self._page_from_the_end(req, resp, stream, before - 1)

    def _page(self, req: Request, resp: Response, stream: str | None) -> None:
        after, limit, types = queries.after(req), queries.limit(req), queries.types(req)
        records, reached = self._manager.store.read_on(after=after, limit=limit, stream=stream, types=types)
        resp.send(payloads.EventPage(events=[payloads.logged(record) for record in records], next=reached))

    def _page_from_the_end(self, req: Request, resp: Response, stream: str, until: int) -> None:
        after, limit, types = queries.after(req), queries.limit(req), queries.types(req)
        head = self._manager.store.head()
        records = self._manager.store.read_latest(stream, after=after, until=until, limit=limit, types=types)
        # Whatever is on the page, nothing that matches stands between its end and there.
        reached = max(after, min(until, head), *(record.position for record in records[-1:]))
        resp.send(payloads.EventPage(events=[payloads.logged(record) for record in records], next=reached))


class PastStates:
    """An instance as it was."""

    def __init__(self, manager: Manager) -> None:
        self._manager = manager

    def on_get(self, req: Request, resp: Response, name: str) -> None:
        at = queries.at(req)
        instance = stream_of(self._manager, name)
        then = self._manager.past(instance, position=at) if isinstance(at, int) else self._manager.past(instance, at=at)
        if then.state is None:
            raise InstanceNotFound(f"There was no instance named {name!r} yet.")
        resp.send(payloads.state(instance, then.state, then.fates.all()))


def stream_of(manager: Manager, name: str) -> str:
    """The id behind a name: of the instance that has it, else of the last one that had it, else the name is an id.

    Raises `InstanceNotFound`.
    """
    try:
        return manager.directory.find(name).id
    except InstanceNotFound:
        former = manager.store.streams_named(name)
        if former:
            return former[0]
        if manager.store.read(stream=name, limit=1):
            return name
        raise
