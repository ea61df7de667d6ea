"""Deliveries to an instance's endpoints: how they stand, their settings, tests, and what is to be told again."""

import msgspec
from msgspec import UNSET

from chatbot_erp.actors.house import utc_now
from chatbot_erp.actors.manager import Manager
from chatbot_erp.http import bodies, queries, webhook_payloads
from chatbot_erp.http.exchange import Request, Response
from chatbot_erp.http.idempotency import Concealing
from chatbot_erp.http.media import json_body


class Webhook:
    """One endpoint; `?endpoint=` says which, and the first one is meant where it does not."""

    def __init__(self, manager: Manager) -> None:
        self._manager = manager

    def on_get(self, req: Request, resp: Response, name: str) -> None:
        resp.send(show(self._manager, name, queries.endpoint(req)))

    def on_patch(self, req: Request, resp: Response, name: str) -> None:
        endpoint = queries.endpoint(req)
        change = bodies.parse(json_body(req), webhook_payloads.EndpointChange)
        webhook_payloads.check_change(change)
        wanted = webhook_payloads.command(change, endpoint)
        secret = self._manager.webhooks.configure(name, wanted, change.headers)
        shown = show(self._manager, name, endpoint)
        resp.send(webhook_payloads.NewEndpoint(webhook=shown, webhook_secret=UNSET if secret is None else secret))

    def on_delete(self, req: Request, resp: Response, name: str) -> None:
        self._manager.webhooks.remove(name, queries.endpoint(req))
        resp.status = 204


class Trial:
    """A test event, posted while the caller waits."""

    def __init__(self, manager: Manager) -> None:
        self._manager = manager

    def on_post(self, req: Request, resp: Response, name: str) -> None:
        made = self._manager.webhooks.test(name, queries.endpoint(req))
        resp.send(webhook_payloads.TestResult(delivered=not made.error, attempt=webhook_payloads.attempt(made)))


class Replay:
    """A stretch of the past, once more."""

    def __init__(self, manager: Manager) -> None:
        self._manager = manager

    def on_post(self, req: Request, resp: Response, name: str) -> None:
        wanted = bodies.parse(json_body(req), webhook_payloads.ReplayRequest)
        again = self._manager.webhooks.replay(
            name,
            queries.endpoint(req),
            after=wanted.after,
            until=wanted.until,
            since=wanted.since,
            before=wanted.before,
            kinds=wanted.events,
        )
        resp.send(webhook_payloads.queued(again), status=202)


class Resend:
    """One event, once more."""

    def __init__(self, manager: Manager) -> None:
        self._manager = manager

    def on_post(self, req: Request, resp: Response, name: str, position: str) -> None:
        wanted = queries.position(position)
        again = self._manager.webhooks.resend(name, queries.endpoint(req), wanted)
        resp.send(webhook_payloads.queued(again), status=202)


class Switch:
    """Enabling and disabling."""

    def __init__(self, manager: Manager, *, enabled: bool) -> None:
        self._manager = manager
        self._set = manager.webhooks.enable if enabled else manager.webhooks.disable

    def on_post(self, req: Request, resp: Response, name: str) -> None:
        endpoint = queries.endpoint(req)
        self._set(name, endpoint)
        resp.send(show(self._manager, name, endpoint))


class Secret(Concealing):
    """A new signing secret. It is shown once; a repeated request gets it from the vault."""

    def __init__(self, manager: Manager) -> None:
        self._manager = manager

    def on_post(self, req: Request, resp: Response, name: str) -> None:
        wanted = bodies.parse(json_body(req), webhook_payloads.SecretRequest)
        secret, until = self._manager.webhooks.rotate(name, queries.endpoint(req), wanted.secret, wanted.overlap_s)
        resp.send(webhook_payloads.NewSecret(webhook_secret=secret, old_until=until))

    def conceal(self, body: bytes) -> bytes:
        """The answer without the secret."""
        answer = msgspec.json.decode(body, type=webhook_payloads.NewSecret)
        return msgspec.json.encode(msgspec.structs.replace(answer, webhook_secret=None))

    def reveal(self, kept: bytes) -> bytes:
        """As it is kept: a secret is not shown twice, and another one may have come since."""
        return kept


class DeadLetters:
    """What was given up."""

    def __init__(self, manager: Manager) -> None:
        self._manager = manager

    def on_get(self, req: Request, resp: Response, name: str) -> None:
        after, limit = queries.after(req), queries.limit(req)
        letters = self._manager.webhooks.dead_letters(name, queries.endpoint(req), after=after, limit=limit)
        resp.send(
            webhook_payloads.DeadLetterPage(
                dead_letters=[webhook_payloads.letter(each) for each in letters],
                next=letters[-1].position if letters else after,
            )
        )


class Redrive:
    """What was given up, once more."""

    def __init__(self, manager: Manager) -> None:
        self._manager = manager

    def on_post(self, req: Request, resp: Response, name: str) -> None:
        wanted = bodies.parse(json_body(req) or b"{}", webhook_payloads.RedriveRequest)
        again = self._manager.webhooks.redrive(
            name, queries.endpoint(req), positions=wanted.positions, after=wanted.after
        )
        resp.send(webhook_payloads.queued(again), status=202)


def show(manager: Manager, name: str, endpoint: str) -> webhook_payloads.WebhookDetails:
    return webhook_payloads.details(manager.webhooks.look(name, endpoint), utc_now())
