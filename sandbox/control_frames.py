"""What all words on the control connection have in common."""

from __future__ import annotations

import msgspec


class Frame(msgspec.Struct, frozen=True, kw_only=True):
    """One word, or a part of one."""


class Request(Frame, frozen=True, tag=True, tag_field="ask"):
    """A question; its name on the wire is that of its class."""
