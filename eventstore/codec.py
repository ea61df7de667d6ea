"""Event ↔ (name, schema version, JSON object), so that code may change and old logs stay readable.

Personal fields are sealed outside of here (sealing.py): this is the object as it is when opened.

When the stored form of an event changes: raise its number in `SCHEMAS`, add a pure function to `UPCASTERS` that turns
the old object into the next, and add golden files under tests/eventstore/golden/. Files already there never change.
"""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from chatbot_erp.eventstore.errors import LogCorrupt, LogTooNew, NotStorable
from chatbot_erp.eventstore.events import EVENT_NAMES, Event

Upcaster = Callable[[dict[str, Any]], dict[str, Any]]

LARGEST = 16 * 1024 * 1024
"""Bytes of JSON beyond which an event is refused."""

SCHEMAS: Mapping[str, int] = {
    "message.accepted": 3,
    "message.sent": 4,
    "message.received": 3,
    "message.revoked": 2,
    "message.undecryptable": 3,
    "message.acknowledged": 2,
    "webhook.delivered": 2,
    "webhook.abandoned": 2,
}
"""Schema version in which an event is written today, where it is not 1."""


def unchanged(old: dict[str, Any]) -> dict[str, Any]:
    """What was in clear in the old version is sealed in the next (sealing.py), and the same when opened."""
    return old


def with_content(old: dict[str, Any]) -> dict[str, Any]:
    """Version 2 knew a message's kind and text only."""
    return {**old, "content": {}}


def with_number(old: dict[str, Any]) -> dict[str, Any]:
    """Version 3 of what was sent did not say which number it was accepted for."""
    return {**old, "number": ""}


def with_sender(old: dict[str, Any]) -> dict[str, Any]:
    """Version 2 of what could not be read had one address of its sender only."""
    return {**old, "jidAlt": None, "pushName": "", "sentAt": None}


def by_its_writer(old: dict[str, Any]) -> dict[str, Any]:
    """Version 1 of what was taken back did not say with whose right: only a writer's counts for sure."""
    return {**old, "byAdmin": False}


def to_the_only_endpoint(old: dict[str, Any]) -> dict[str, Any]:
    """There was one endpoint when nobody had to say which."""
    return {**old, "endpoint": "main"}


UPCASTERS: Mapping[tuple[str, int], Upcaster] = {
    ("message.accepted", 1): unchanged,
    ("message.accepted", 2): with_content,
    ("message.sent", 1): unchanged,
    ("message.sent", 2): with_content,
    ("message.sent", 3): with_number,
    ("message.received", 1): unchanged,
    ("message.received", 2): with_content,
    ("message.revoked", 1): by_its_writer,
    ("message.undecryptable", 1): unchanged,
    ("message.undecryptable", 2): with_sender,
    ("message.acknowledged", 1): unchanged,
    ("webhook.delivered", 1): to_the_only_endpoint,
    ("webhook.abandoned", 1): to_the_only_endpoint,
}
"""For (name, version): how an object of that version becomes one of the next."""


class Codec:
    """Both directions, for one vocabulary. Stateless after its making: any thread may use it."""

    def __init__(
        self,
        names: Mapping[type[Event], str],
        schemas: Mapping[str, int],
        upcasters: Mapping[tuple[str, int], Upcaster],
    ) -> None:
        self._stored_as = {kind: (name, schemas.get(name, 1)) for kind, name in names.items()}
        self._decoders = {name: msgspec.json.Decoder(kind) for kind, name in names.items()}
        self._schemas = dict(self._stored_as.values())
        self._upcasters = upcasters
        self._encoder = msgspec.json.Encoder()
        self._check = msgspec.json.Decoder(msgspec.Raw).decode

    def encode(self, event: Event) -> tuple[str, int, str]:
        """Name, schema version and JSON text. Raises NotStorable."""
        try:
            name, schema = self._stored_as[type(event)]
        except KeyError:
            raise NotStorable(f"{type(event).__name__} has no stored name.") from None
        try:
            data = self._encoder.encode(event)
            self._check(data)  # msgspec.Raw fields are copied unread; broken JSON in one would stay for ever
            text = data.decode()
        except (UnicodeError, msgspec.MsgspecError, TypeError, ValueError) as ex:
            raise NotStorable(f"{name} cannot be written as JSON: {_reason(ex)}.") from None
        if len(data) > LARGEST:
            raise NotStorable(f"{name} has {len(data)} bytes; the log takes up to {LARGEST}.")
        return name, schema, text

    def decode(self, name: str, schema: int, data: str) -> Event:
        """The event as today's class. Raises LogTooNew for what only a newer manager knows, LogCorrupt for nonsense."""
        self.must_know(name, schema)
        try:
            if schema != self._schemas[name]:
                data = self._upcast(name, schema, data)
            event: Event = self._decoders[name].decode(data)
        except (UnicodeError, msgspec.MsgspecError) as ex:
            raise LogCorrupt(f"A stored {name} (version {schema}) cannot be read: {_reason(ex)}.") from None
        return event

    def must_know(self, name: str, schema: int) -> None:
        """Raises LogTooNew unless this manager can read `name` in this version."""
        known = self._schemas.get(name)
        if known is None:
            raise LogTooNew(f"The log holds events of the type {name}, which this manager does not know.")
        if schema > known:
            raise LogTooNew(f"The log holds {name} in version {schema}; this manager knows it up to version {known}.")

    def _upcast(self, name: str, schema: int, data: str) -> str:
        stored: dict[str, Any] = msgspec.json.decode(data)
        for version in range(schema, self._schemas[name]):
            stored = self._upcasters[name, version](stored)
        return msgspec.json.encode(stored).decode()


def _reason(ex: Exception) -> str:
    """What is wrong, without the data itself: error texts end in log lines."""
    if isinstance(ex, UnicodeError):
        return "it holds text that is no Unicode (a lone surrogate or broken UTF-8)"
    return str(ex).rstrip(".")


CODEC = Codec(EVENT_NAMES, SCHEMAS, UPCASTERS)
"""The vocabulary of events.py."""
