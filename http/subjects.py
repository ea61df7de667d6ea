"""People as data subjects: what the log holds of somebody, and how they are forgotten. And whether the log is whole."""

from chatbot_erp.actors.manager import Manager
from chatbot_erp.http import payloads, queries, subject_payloads
from chatbot_erp.http.exchange import Request, Response
from chatbot_erp.http.forwarding import Forwarder, is_forwarded, others
from chatbot_erp.http.problems import NO_NODE, RequestRefused

CLEANING_S = 60.0
"""How long a node may take to forget somebody in all its files."""


class Subject:
    """Somebody, by a number, a LID or a group's jid."""

    def __init__(self, manager: Manager, forwarder: Forwarder) -> None:
        self._manager = manager
        self._forwarder = forwarder

    def on_get_export(self, req: Request, resp: Response, number: str) -> None:
        held = self._manager.held(number, after=queries.after(req), limit=queries.limit(req))
        events = [payloads.logged(record) for record in held.records]
        resp.send(subject_payloads.SubjectPage(addresses=held.addresses, events=events, next=held.next))

    def on_delete(self, req: Request, resp: Response, number: str) -> None:
        company = self._manager.store.company
        if is_forwarded(company, req):
            self._manager.forget_here(number)
            resp.status = 204
            return
        # First, while it can still be told what is theirs.
        answers = self._forwarder.ask_all(others(company, req), req, CLEANING_S)
        if silent := sorted(name for name, answer in answers.items() if answer is None):
            raise RequestRefused(NO_NODE, f"Nothing is erased yet: no answer from {', '.join(silent)}.")
        erased = self._manager.erase(number)
        resp.send(subject_payloads.Erasure(id=erased.id, position=erased.position, subjects=erased.subjects))


class Verification:
    """The whole log, checked."""

    def __init__(self, manager: Manager) -> None:
        self._manager = manager

    def on_get(self, req: Request, resp: Response) -> None:
        resp.send(subject_payloads.audit(self._manager.audit.run()))
