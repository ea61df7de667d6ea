"""Instances: their list, their birth, one of them."""

import msgspec

from chatbot_erp.actors.config import Config
from chatbot_erp.actors.manager import Manager
from chatbot_erp.http import payloads, queries
from chatbot_erp.http.exchange import Request, Response
from chatbot_erp.http.media import json_body
from chatbot_erp.http.problems import INVALID, FieldError, RequestRefused


class Instances:
    """All of them."""

    def __init__(self, manager: Manager) -> None:
        self._manager = manager

    def on_get(self, req: Request, resp: Response) -> None:
        resp.send([payloads.summary(view) for view in self._manager.directory.views()])


class OneInstance:
    """One of them, by name."""

    def __init__(self, manager: Manager, config: Config) -> None:
        self._manager = manager
        self._node = config.node

    def on_get(self, req: Request, resp: Response, name: str) -> None:
        resp.send(payloads.details(self._manager.directory.view(name), self._node))

    def on_patch(self, req: Request, resp: Response, name: str) -> None:
        change = payloads.parse(json_body(req), payloads.ChangeRequest)
        if change.webhook_url is msgspec.UNSET:
            known = [FieldError(field="webhookUrl", location="body", detail="It is the field that can be changed.")]
            raise RequestRefused(INVALID, "The body names nothing that can be changed.", known)
        resp.send(payloads.details(self._manager.change_webhook(name, change.webhook_url), self._node))

    def on_delete(self, req: Request, resp: Response, name: str) -> None:
        self._manager.remove(name, unlink=queries.flag(req, "unlink", usual=True))
        resp.status = 204


class Creation:
    """The birth of an instance.

    An instance may be called `create`, so all but POST asks for that one.
    """

    def __init__(self, manager: Manager, instance: OneInstance) -> None:
        self._manager = manager
        self._instance = instance

    def on_post(self, req: Request, resp: Response) -> None:
        wanted = payloads.parse(json_body(req), payloads.CreateRequest)
        resp.send(payloads.created(self._manager.create(wanted.name, wanted.webhook_url)), status=201)

    def conceal(self, body: bytes) -> bytes:
        """The answer without the webhook secret, which the vault keeps."""
        answer = msgspec.json.decode(body, type=payloads.CreatedInstance)
        return msgspec.json.encode(msgspec.structs.replace(answer, webhook_secret=None))

    def reveal(self, kept: bytes) -> bytes:
        """The answer with the secret again, byte by byte as it was, as long as the vault has it."""
        answer = msgspec.json.decode(kept, type=payloads.CreatedInstance)
        secret = self._manager.webhook_secret(answer.id)
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
