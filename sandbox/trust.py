"""Make the WhatsApp library in this process trust a sandbox network.

whatsmeow pins the root of the server's Noise certificates as 32 bytes (`WACertPubKey` in handshake.go). They lie once
in a writable segment of the loaded library; here they are overwritten, in this process's memory only.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from pathlib import Path

_PINNED = bytes.fromhex("142375574d0a587166aae71ebe516437c4a28b73e3695c6ce1f7f9545da8ee6b")
_KEY_SIZE = 32
_trusted: tuple[int, bytes] | None = None


class CannotTrust(RuntimeError):
    """Raised when the pinned key cannot be replaced: wrong system, library not loaded, or not this library."""


def trust_root_key(root_key: str) -> None:
    """Replace the pinned root key by this one (hex). Call it after neonize was imported and before a client connects.

    Repeating it is harmless; another network's key replaces the former one.
    """
    global _trusted
    key = bytes.fromhex(root_key)
    if len(key) != _KEY_SIZE:
        raise ValueError(f"A root key has {_KEY_SIZE} bytes, not {len(key)}.")
    if not sys.platform.startswith("linux"):
        raise CannotTrust(f"The sandbox network can be trusted on Linux only, not on {sys.platform}.")
    if _trusted is None:
        _trusted = _find(), _PINNED
    address, current = _trusted
    if ctypes.string_at(address, _KEY_SIZE) != current:
        raise CannotTrust("The pinned key is no longer where it was found before.")
    ctypes.memmove(address, key, _KEY_SIZE)
    _trusted = address, key


def _find() -> int:
    places = [place for start, end in _writable_segments() for place in _places(start, end)]
    if not places:
        raise CannotTrust("WhatsApp's pinned key is not in this process: import neonize first.")
    if len(places) > 1:
        raise CannotTrust(f"WhatsApp's pinned key stands {len(places)} times in the library: not one to be sure of.")
    return places[0]


def _writable_segments() -> Iterator[tuple[int, int]]:
    """The writable mappings of neonize's shared library, as /proc/self/maps lists them."""
    for line in Path("/proc/self/maps").read_text().splitlines():
        span, access, _, _, _, *path = line.split(maxsplit=5)
        if access.startswith("rw") and path and "neonize" in Path(path[0]).name:
            start, _, end = span.partition("-")
            yield int(start, 16), int(end, 16)


def _places(start: int, end: int) -> Iterator[int]:
    segment = ctypes.string_at(start, end - start)
    at = segment.find(_PINNED)
    while at >= 0:
        yield start + at
        at = segment.find(_PINNED, at + 1)
