"""One attempt at an endpoint: signed, posted, traced and counted. An outcome comes of it whatever the receiver does."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import structlog

from chatbot_erp.actors import spans
from chatbot_erp.actors.endpoint import Endpoint
from chatbot_erp.actors.webhook import NoAnswer, Outcome, headers, without_own
from chatbot_erp.actors.webhook_credentials import Keys
from chatbot_erp.actors.webhook_post import Postman, Withdrawn
from chatbot_erp.eventstore.records import Delivery

log = structlog.get_logger()


class Courier:
    """For one thread. `name` is the instance's; `keys` is asked before the first post and after `renew`; `observe` is
    told each outcome."""

    def __init__(
        self, name: str, postman: Postman, *, keys: Callable[[], Keys], observe: Callable[[Outcome], None]
    ) -> None:
        self._name = name
        self._postman = postman
        self._look_up_keys = keys
        self._observe = observe
        self._keys: Keys | None = None

    def renew(self) -> None:
        """The keys may be others by now."""
        self._keys = None

    def attempt(
        self,
        endpoint: Endpoint,
        head: Delivery,
        content: bytes,
        *,
        attempts: int,
        at: datetime,
        withdrawn: Callable[[], bool],
    ) -> Outcome | None:
        """Post `content`; `attempts` counts this one. None where it was not posted, as `withdrawn` said so (webhook_post.py)."""
        with spans.span("POST webhook", "client") as span:
            try:
                outcome = self._post(endpoint, head, content, at, withdrawn)
            except Withdrawn:
                return None
            if span.is_kept:
                span.note({**place_of(endpoint.id, head), **told(head, attempts, outcome)})
            if failed(outcome):
                span.fail()
        self._observe(outcome)
        return outcome

    def _post(
        self, endpoint: Endpoint, head: Delivery, content: bytes, at: datetime, withdrawn: Callable[[], bool]
    ) -> Outcome:
        """Raises `Withdrawn`."""
        try:
            if self._keys is None or self._keys.new is None:
                self._keys = self._look_up_keys()
            signing = self._keys.at(at)
            if not signing:
                return NoAnswer(error="no_secret", detail="", address="", duration_ms=0)
            signed = headers(
                content,
                event_id=head.record.id,
                at=at,
                keys=signing,
                instance=head.record.stream,
                name=self._name,
                own={**self._keys.headers, **spans.headers()},
            )
            return without_own(
                self._postman.post(endpoint.url, content, signed, withdrawn=withdrawn), self._keys.headers
            )
        except Withdrawn:
            raise
        except Exception:
            # Ours, not the receiver's, and perhaps gone with the next version: retried like any other failure.
            log.exception("an attempt failed in itself", action="webhook_broken", **place_of(endpoint.id, head))
            return NoAnswer(error="internal", detail="", address="", duration_ms=0)


def place_of(endpoint: str, head: Delivery) -> dict[str, Any]:
    """Which delivery it is, for logs and traces."""
    return {
        "instance": head.record.stream,
        "endpoint": endpoint,
        "sequence": head.sequence,
        "position": head.record.position,
    }


def told(head: Delivery, attempts: int, outcome: Outcome) -> dict[str, str | int | None]:
    """What a trace shows of an attempt; `command_id` is the id of the request that the event is about."""
    return {
        "event_id": head.record.id,
        "event_type": head.record.type,
        "command_id": getattr(head.record.event, "command_id", None),
        "attempts": attempts,
        "http.response.status_code": None if isinstance(outcome, NoAnswer) else outcome.status,
        "error.type": outcome.error if isinstance(outcome, NoAnswer) else None,
    }


def failed(outcome: Outcome) -> bool:
    """Whether an attempt came to anything but success."""
    return isinstance(outcome, NoAnswer) or not 200 <= outcome.status < 300
