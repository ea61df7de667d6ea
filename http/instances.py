"""Instances: their list, their birth, one of them."""

import msgspec
from msgspec import UNSET

from chatbot_erp.actors.api_keys import Scope
from chatbot_erp.actors.config import Config
from chatbot_erp.actors.directory import InstanceView
from chatbot_erp.actors.manager import Manager
from chatbot_erp.eventstore.events import Status
from chatbot_erp.eventstore.records import MAIN
from chatbot_erp.http import bodies, payloads, queries, webhook_payloads
from chatbot_erp.http.auth import check_reach
from chatbot_erp.http.exchange import Request, Response
from chatbot_erp.http.forwarding import Forwarder
from chatbot_erp.http.idempotency import Concealing
from chatbot_erp.http.media import json_body


class Instances:
    """All of them."""

    def __init__(self, manager: Manager, forwarder: Forwarder) -> None:
        self._manager = manager
        self._forwarder = forwarder

    def on_get(self, req: Request, resp: Response) -> None:
        found = {view.name: payloads.summary(view) for view in self._manager.directory.views(coming=False)}
        company = self._manager.store.company
        if company.node and not self._forwarder.is_forwarded(req):
            for answer in self._forwarder.ask_others(req):
                theirs = msgspec.json.decode(answer, type=list[payloads.InstanceSummary])
                found |= {each.name: each for each in theirs}
            # Those of nodes that did not answer, and those that are between two.
            for name, (instance, _) in company.seats().items():
                found.setdefault(name, payloads.InstanceSummary(id=instance, name=name, status=Status.DISCONNECTED))
        resp.send([found[name] for name in sorted(found) if req.grant and req.grant.reaches(name)])


class OneInstance:
    """One of them, by name."""

    def __init__(self, manager: Manager, config: Config) -> None:
        self._manager = manager
        self._node = config.node

    def on_get(self, req: Request, resp: Response, name: str) -> None:
        self._show(req, resp, self._manager.directory.view(name))

    def on_patch(self, req: Request, resp: Response, name: str) -> None:
        change = bodies.parse(json_body(req), webhook_payloads.ChangeRequest)
        if change == webhook_payloads.ChangeRequest():
            raise bodies.nothing_to_change("Give this field, `webhook` or `pacing`.", "webhookUrl")
        if change.webhook_url is not UNSET or change.webhook is not UNSET:
            wanted = webhook_payloads.EndpointChange()
            if change.webhook is not UNSET:
                webhook_payloads.check_change(wanted := change.webhook)
            if change.webhook_url is not UNSET:
                wanted = msgspec.structs.replace(wanted, url=change.webhook_url)
            self._manager.webhooks.configure(name, webhook_payloads.command(wanted, MAIN), wanted.headers)
        if change.pacing is not UNSET:
            self._manager.pace(name, webhook_payloads.pacing(change.pacing))
        self._show(req, resp, self._manager.directory.view(name))

    def on_delete(self, req: Request, resp: Response, name: str) -> None:
        self._manager.remove(name, unlink=queries.flag(req, "unlink", usual=True))
        resp.status = 204

    def _show(self, req: Request, resp: Response, view: InstanceView) -> None:
        with_qr = req.grant is not None and req.grant.allows(Scope.MANAGE)
        resp.send(payloads.details(view, self._node, with_qr=with_qr))


class Creation(Concealing):
    """The birth of an instance.

    An instance may be called `create`, so all but POST asks for that one.
    """

    def __init__(self, manager: Manager, instance: OneInstance) -> None:
        self._manager = manager
        self._instance = instance

    def on_post(self, req: Request, resp: Response) -> None:
        wanted = bodies.parse(json_body(req), payloads.CreateRequest)
        check_reach(req.grant, wanted.name)
        resp.send(payloads.created(self._manager.create(wanted.name, wanted.webhook_url)), status=201)

    def conceal(self, body: bytes) -> bytes:
        """The answer without the webhook secret, which the vault keeps."""
        answer = msgspec.json.decode(body, type=payloads.CreatedInstance)
        return msgspec.json.encode(msgspec.structs.replace(answer, webhook_secret=None))

    def reveal(self, kept: bytes) -> bytes:
        """The answer with the secret again, byte by byte as it was, as long as the vault has it."""
        answer = msgspec.json.decode(kept, type=payloads.CreatedInstance)
        secret = self._manager.webhooks.secret(answer.id, MAIN)
        return msgspec.json.encode(msgspec.structs.replace(answer, webhook_secret=secret))

    def on_get(self, req: Request, resp: Response) -> None:
        self._instance.on_get(req, resp, "create")

    def on_patch(self, req: Request, resp: Response) -> None:
        self._instance.on_patch(req, resp, "create")

    def on_delete(self, req: Request, resp: Response) -> None:
        self._instance.on_delete(req, resp, "create")


class Restart:
    """A new socket for one of them."""

    def __init__(self, manager: Manager) -> None:
        self._manager = manager

    def on_post(self, req: Request, resp: Response, name: str) -> None:
        view = self._manager.directory.view(name)
        self._manager.restart(name)
        resp.send(payloads.summary(view), status=202)
