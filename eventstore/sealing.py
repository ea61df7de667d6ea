"""How an event with personal fields stands in the log, and how it is read again.

    {"messageId":"3EB0…","jid":"","kind":"text","text":"","sealed":{"subject":"…","period":"2026-11-24","box":"…"}}

Personal fields (personal.py) stand there emptied; `box` is the base64 of a 12-byte nonce and the AES-256-GCM of a JSON
object with their values, bound to the event by its stream, id, name and schema version. `subject` is a random name.
The chain is over what stands there, so it holds whether the box can still be opened or not. Where it cannot, the event
is read as it stands, with `"erased":true`.
"""

import os
from base64 import b64decode, b64encode
from collections.abc import Callable
from itertools import count
from operator import attrgetter
from typing import Any, NamedTuple, Protocol

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from chatbot_erp.eventstore.codec import CODEC
from chatbot_erp.eventstore.errors import LogCorrupt
from chatbot_erp.eventstore.events import EVENT_NAMES, Event
from chatbot_erp.eventstore.personal import DECLARED, emptied
from chatbot_erp.eventstore.subject_keys import Lock, Wanted

NONCE = 12


class Keys(Protocol):
    """What subject_keys.py has."""

    def locks(self, wanted: list[Wanted], /) -> list[Lock]: ...

    def lock_of_known(self, wanted: Wanted, /) -> Lock | None: ...

    def cipher(self, subject: str, period: str, /) -> AESGCM | None: ...


class Sealed(msgspec.Struct, frozen=True):
    """Whose box it is, of which day, and the box."""

    subject: str
    period: str
    box: str


class Stored(NamedTuple):
    """An event as it goes into the log; `shown` is the JSON object with everything that is sealed in `data`."""

    name: str
    schema: int
    data: str
    shown: str


class Opened(NamedTuple):
    """An event as it comes out of the log; `erased` where its personal fields are lost for ever."""

    event: Event
    shown: str
    erased: bool


class _Parts(NamedTuple):
    """The personal fields of one kind of event: an object of them, how to get them, and what they look like empty."""

    contents: Callable[..., msgspec.Struct]
    values: Callable[[Event], Any]
    emptied: dict[str, Any]


class Sealer:
    """Stateless but for the keys: any thread may use it."""

    def __init__(self, keys: Keys, *, first_nonce: int | None = None) -> None:
        self._keys = keys
        # Counted from a random number: never twice, and without a call of the system for each, which would give the
        # interpreter lock away.
        self._nonces = count(int.from_bytes(os.urandom(NONCE)) if first_nonce is None else first_nonce)

    def wanted(self, event: Event, period: str) -> Wanted | None:
        """Which lock the event needs; None where nothing of it is personal."""
        kind = type(event)
        return Wanted(DECLARED[kind].owners(event), period) if kind in _PARTS else None

    def locks(self, wanted: list[Wanted]) -> list[Lock]:
        """As `SubjectKeys.locks`."""
        return self._keys.locks(wanted)

    def seal(self, stream: str, event_id: str, event: Event, period: str, lock: Lock | None) -> Stored:
        """The event as it is to be stored, locked where a lock is wanted. Raises NotStorable."""
        name, schema, clear = CODEC.encode(event)
        if lock is None:
            return Stored(name, schema, clear, clear)
        parts = _PARTS[type(event)]
        contents = _encode(parts.contents(*parts.values(event)))
        sealed = self._lock_up(contents, _binding(stream, event_id, name, schema), period, lock)
        outside = _encode(msgspec.structs.replace(event, **parts.emptied))[:-1].decode()
        return Stored(name, schema, f'{outside},"sealed":{sealed}}}', clear)

    def open(self, stream: str, event_id: str, name: str, schema: int, data: str) -> Opened:
        """The event as it was, or what is left of it. Raises LogTooNew, LogCorrupt."""
        if name not in _SEALED_NAMES or '"sealed":{' not in data:
            return Opened(CODEC.decode(name, schema, data), data, erased=False)
        try:
            found = _decode(data)
            if "sealed" not in found:
                return Opened(CODEC.decode(name, schema, data), data, erased=False)
            sealed = _decode_sealed(found.pop("sealed"))
            contents = self._unlock(sealed, _binding(stream, event_id, name, schema))
            found.update({"erased": msgspec.Raw(b"true")} if contents is None else _decode(contents))
            shown = _encode(found).decode()
        except (msgspec.MsgspecError, UnicodeError, ValueError):
            raise LogCorrupt(f"A stored {name} (version {schema}) is not sealed as it should be.") from None
        return Opened(CODEC.decode(name, schema, shown), shown, erased=contents is None)

    def enclose(self, text: str, binding: bytes, wanted: Wanted) -> str:
        """A text, locked for a party whose key there is already; the empty text where there is none."""
        lock = self._keys.lock_of_known(wanted)
        return self._lock_up(text.encode(errors="replace"), binding, wanted.period, lock) if lock else ""

    def disclose(self, sealed: str, binding: bytes) -> str:
        """The text again, or the empty one where it is erased."""
        contents = self._unlock(_decode_sealed(sealed), binding)
        return "" if contents is None else contents.decode()

    def _lock_up(self, contents: bytes, binding: bytes, period: str, lock: Lock) -> str:
        nonce = (next(self._nonces) % 2 ** (8 * NONCE)).to_bytes(NONCE)
        box = nonce + lock.cipher.encrypt(nonce, contents, binding)
        return f'{{"subject":"{lock.subject}","period":"{period}","box":"{b64encode(box).decode()}"}}'

    def _unlock(self, sealed: Sealed, binding: bytes) -> bytes | None:
        cipher = self._keys.cipher(sealed.subject, sealed.period)
        if cipher is None:
            return None
        box = b64decode(sealed.box)
        try:
            return cipher.decrypt(box[:NONCE], box[NONCE:], binding)
        except InvalidTag:
            return None  # the key of that day was destroyed, and the day got another: the same as none


def _binding(stream: str, event_id: str, name: str, schema: int) -> bytes:
    return f"{stream}\n{event_id}\n{name}\n{schema}".encode()


def _parts(kind: type[Event]) -> _Parts:
    names = {field.name: field.encode_name for field in msgspec.structs.fields(kind)}
    fields = DECLARED[kind].personal
    get = attrgetter(*fields)
    contents = msgspec.defstruct(f"{kind.__name__}Contents", [(names[field], Any) for field in fields], gc=False)
    return _Parts(contents, get if len(fields) > 1 else lambda e: (get(e),), emptied(kind))


_PARTS = {kind: _parts(kind) for kind, declared in DECLARED.items() if declared.personal}
_SEALED_NAMES = {EVENT_NAMES[kind] for kind in _PARTS}
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_sealed = msgspec.json.Decoder(Sealed).decode
