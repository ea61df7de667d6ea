"""How a node that shares a log with others begins to work, and how it ends when they took over what it had."""

import os
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, suppress

import structlog

from chatbot_erp.actors.ending import EndCame, Ending
from chatbot_erp.actors.manager import Manager
from chatbot_erp.eventstore.errors import StoreUnavailable
from chatbot_erp.eventstore.lease import Node

log = structlog.get_logger()

TURN_EVERY_S = 0.2
EXIT_SUPERSEDED = 75


def await_turn(
    stack: ExitStack, house: Callable[[], AbstractContextManager[Manager]], node: Node, ending: Ending
) -> Manager | None:
    """Open the house as soon as it may and the database can be had; None if the end comes first.

    Raises StoreUnavailable for a node that shares with nobody.
    """
    told = ""
    while not ending.is_set():
        _bury_strays()
        try:
            return stack.enter_context(house())
        except EndCame:
            break
        except StoreUnavailable as ex:
            if not node.movable:
                raise
            if str(ex) != told:
                log.warning("this node cannot work yet", action="turn_awaited", error=str(ex))
                told = str(ex)
            ending.wait(TURN_EVERY_S)
    return None


def _bury_strays() -> None:
    """Children of the life before `begin_anew`; of this one there are none yet."""
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def begin_anew(node: Node, ending: Ending) -> None:
    """Others took over: what this process knows is the past. In its place comes one that joins them.

    One that shares with nobody ends, for somebody to start it when the database is free again. Runs in the store's thread.
    The socket hosts see their pipes break; what they had in hand goes to the spool.
    """
    if ending.is_set():
        return
    log.critical("others have the database now; what this process knows is the past", action="superseded")
    if node.movable:
        try:
            os.execv(sys.executable, sys.orig_argv)
        except OSError as ex:
            log.critical("it cannot begin anew", action="superseded", error=str(ex))
    os._exit(EXIT_SUPERSEDED)
