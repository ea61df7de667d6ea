"""People as data subjects: what the log holds of somebody, and how they are forgotten. And whether the log is whole."""

from chatbot_erp.actors.manager import Manager
from chatbot_erp.http import payloads, queries, subject_payloads
from chatbot_erp.http.exchange import Request, Response


class Subject:
    """Somebody, by a number, a LID or a group's jid."""

    def __init__(self, manager: Manager) -> None:
        self._manager = manager

    def on_get_export(self, req: Request, resp: Response, number: str) -> None:
        held = self._manager.held(number, after=queries.after(req), limit=queries.limit(req))
        events = [payloads.logged(record) for record in held.records]
        resp.send(subject_payloads.SubjectPage(addresses=held.addresses, events=events, next=held.next))

    def on_delete(self, req: Request, resp: Response, number: str) -> None:
        erased = self._manager.erase(number)
        answer = subject_payloads.Erasure(
            id=erased.id, position=erased.position, subjects=erased.subjects, awaited=erased.awaited
        )
        resp.send(answer)


class Verification:
    """The whole log, checked."""

    def __init__(self, manager: Manager) -> None:
        self._manager = manager

    def on_get(self, req: Request, resp: Response) -> None:
        resp.send(subject_payloads.audit(self._manager.audit.run()))
