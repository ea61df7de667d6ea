"""The hash chain: who changes, removes or inserts an event breaks every hash after it.

The hash of an event is SHA-256 over the 32 raw bytes of the previous event's hash (32 zero bytes before the first)
followed by the UTF-8 bytes of these nine lines, joined by one LF, without an LF at the end:

    position, version, sequence, stream, id, type, schema, recorded_at, data

Numbers are decimal; `sequence` is an empty line where there is none; `recorded_at` is `YYYY-MM-DDTHH:MM:SS.ffffffZ`;
`data` is the stored JSON text exactly as it stands, and as the last line it may be anything. All columns of the table
`events` but `hash` are in it, as they are stored, so a few lines in any language can check a log.
"""

import re
from datetime import UTC, datetime
from hashlib import sha256

import msgspec

from chatbot_erp.eventstore.errors import NotStorable

GENESIS = bytes(32)
"""What stands where the first event would find the hash of the previous one."""

_WORD = re.compile(r"[!-~]{1,200}")
_encode = msgspec.json.Encoder().encode


def is_word(text: str) -> bool:
    """Whether `text` can be a line of the chain: visible ASCII, 1 to 200 characters."""
    return _WORD.fullmatch(text) is not None


def moment(at: datetime) -> str:
    """`at` as it is stored: UTC, microseconds, fixed width. Raises NotStorable for a naive datetime."""
    if at.tzinfo is not UTC:
        if at.utcoffset() is None:
            raise NotStorable(f"The moment {at.isoformat()} has no time zone.")
        at = at.astimezone(UTC)
    if at.microsecond and type(at) is datetime:
        return _encode(at)[1:-1].decode()  # a fifth of what isoformat takes; it leaves out a fraction that is zero
    return at.isoformat(timespec="microseconds")[:-6] + "Z"


def known_part(stream: str, event_id: str, name: str, schema: int, recorded_at: str, data: str) -> bytes:
    """The lines from `stream` on, which a caller knows before the event has its place."""
    return f"{stream}\n{event_id}\n{name}\n{schema}\n{recorded_at}\n{data}".encode()


def link(previous: bytes, position: int, version: int, sequence: int | None, known: bytes) -> bytes:
    """The hash of an event at its place, after the event whose hash is `previous`."""
    place = b"%d\n%d\n\n" % (position, version) if sequence is None else b"%d\n%d\n%d\n" % (position, version, sequence)
    return sha256(previous + place + known).digest()
