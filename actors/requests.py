"""The request that a thread carries out: its id is in each log line, and it is the `commandId` of what it sends.

So one goes from a caller's answer to log lines, trace and events and back, and the log grows by nothing for it: every
send has a command id anyway.
"""

from contextvars import ContextVar
from uuid import uuid4

import structlog

_unused: ContextVar[str | None] = ContextVar("unused", default=None)


def begin(request_id: str, **more: str) -> None:
    """What this thread does and logs from here on belongs to a request; `request_id` is used for no other one."""
    structlog.contextvars.bind_contextvars(request_id=request_id, **more)
    _unused.set(request_id)


def end() -> None:
    """This thread carries out no request any more."""
    structlog.contextvars.clear_contextvars()
    _unused.set(None)


def command_id() -> str:
    """The id for a command: the request's for its first one, a new one for others and outside of requests."""
    unused = _unused.get()
    _unused.set(None)
    return unused or str(uuid4())
