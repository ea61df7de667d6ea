"""What all messages between the manager and a socket host have in common."""

import msgspec


class Frame(msgspec.Struct, frozen=True, kw_only=True, array_like=True, tag=True):
    """One message of the pipe. Fields are encoded by place: append new ones at the end."""
