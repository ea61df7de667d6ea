"""What a manager answers, as far as this client names it. Unknown fields are ignored: a newer manager may say more."""

from datetime import datetime
from typing import Any

import msgspec


class _Shape(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    pass


class Summary(_Shape, frozen=True, kw_only=True):
    """An instance at a glance."""

    id: str
    name: str
    status: str


class Created(Summary, frozen=True, kw_only=True):
    """A new instance. `webhook_secret` is shown this once."""

    webhook_url: str
    webhook_secret: str | None


class User(_Shape, frozen=True, kw_only=True):
    """The WhatsApp account of an instance."""

    jid: str
    lid: str | None
    push_name: str


class Instance(Summary, frozen=True, kw_only=True):
    """An instance as it is now. `qr` is a credential, and there for keys that may manage."""

    reason: str | None
    since: datetime
    webhook_url: str
    user: User | None
    qr: str | None
    qr_expires_at: datetime | None
    restarts: int
    node: str
    retry_at: datetime | None = None
    """When a new socket is made by itself, where that is planned."""


class Sent(_Shape, frozen=True, kw_only=True):
    """WhatsApp's server has the message."""

    message_id: str
    jid: str
    status: int
    timestamp: datetime


class Accepted(_Shape, frozen=True, kw_only=True):
    """A message that is on record, and sent as soon as can be; `id` is what its fate is asked by."""

    id: str
    location: str


class Fate(_Shape, frozen=True, kw_only=True):
    """What became of a message; `type` is the problem that it came to, None where all is well."""

    id: str | None
    message_id: str | None
    jid: str
    fate: str
    status: int | None
    type: str | None
    at: datetime


class Erasure(_Shape, frozen=True, kw_only=True):
    """Somebody is forgotten; by the nodes in `awaited`, which are down, when they are back.

    `subjects` is 0 where the log knew nobody of that number, or had forgotten them before.
    """

    id: str
    subjects: int
    awaited: tuple[str, ...] = ()


class Event(_Shape, frozen=True, kw_only=True):
    """Something that happened to an instance, as the log has it."""

    position: int
    stream: str
    version: int
    id: str
    type: str
    data: dict[str, Any]
    recorded_at: datetime
    sequence: int | None
    hash: str


class Page(_Shape, frozen=True, kw_only=True):
    """Events, and the position to ask on from."""

    events: list[Event]
    next: int


class Wrong(_Shape, frozen=True, kw_only=True):
    """A part of the request that is to be mended."""

    field: str
    detail: str


class Problem(_Shape, frozen=True, kw_only=True):
    """Why a call was refused (RFC 9457). `type` is stable; `detail` says why, and `action` what to do, for people."""

    type: str
    title: str
    status: int
    detail: str = ""
    action: str = ""
    instance: str = ""
    """The request's id, as the manager's log has it."""
    errors: tuple[Wrong, ...] = ()
