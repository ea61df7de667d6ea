"""How a node that shares a log with others waits for its turn, and how it loses it."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass
from threading import Event
from typing import Any

import structlog

from chatbot_erp.actors import spool_exchange
from chatbot_erp.actors.config import Config
from chatbot_erp.actors.manager import Manager
from chatbot_erp.actors.standby import Standby
from chatbot_erp.eventstore.errors import StoreError, StoreUnavailable
from chatbot_erp.eventstore.lease import Node
from chatbot_erp.eventstore.places import open_members

log = structlog.get_logger()

TURN_EVERY_S = 0.2
EXIT_SUPERSEDED = 75


@dataclass(frozen=True, slots=True)
class Door:
    """Where a node that stands by is reached already."""

    node: Node
    server: Any
    standby: Standby
    hand_over: Callable[[], None]
    """What this machine has of an earlier turn, to the node that works; may raise a `StoreError` or OSError."""


@contextmanager
def stand_by(config: Config, start_http: Callable[..., Any], patience_s: float) -> Iterator[Door]:
    """Answer HTTP with what the node says that works; at the end let requests finish for so long."""
    assert config.database is not None, "the command line has seen to it"
    members = open_members(config.database)
    standby = Standby(members)
    try:
        server = start_http(config, standby, members.vault)
        node = Node(name=config.node, url=config.advertise or server.url, movable=True, lease_s=config.lease_s)
        standby.start(node)
        print(f"chatbot-erp listens on {server.url}", flush=True)
        try:
            yield Door(node, server, standby, lambda: spool_exchange.hand_over(config.data_dir, members.vault))
        finally:
            # First the calls that are under way: with the other one their lines to the node that works are cut.
            server.stop(patience_s)
            standby.stop()
    finally:
        members.close()


def await_turn(
    stack: ExitStack, house: Callable[[], AbstractContextManager[Manager]], door: Door | None, ending: Event
) -> Manager | None:
    """Open the house; with a door, as soon as no other node works and the database can be had, or None at the end."""
    if door is None:
        return stack.enter_context(house())
    told = ""
    while not ending.is_set():
        _bury_strays()
        try:
            return stack.enter_context(house())
        except StoreUnavailable as ex:
            if ex.trouble != "locked" and str(ex) != told:
                log.warning("this node cannot work yet", action="turn_awaited", error=str(ex))
                told = str(ex)
        try:
            # On this thread, or it would take away what the house reads when it opens.
            door.hand_over()
        except (StoreError, OSError) as ex:
            log.debug("spools are not handed over yet", action="spool_waits", error=str(ex))
        ending.wait(TURN_EVERY_S)
    return None


def _bury_strays() -> None:
    """Children of the life before `begin_anew`; of this one there are none yet."""
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def begin_anew(node: Node, ending: Event) -> None:
    """Another node has taken over: what this process knows is the past. In its place comes one that stands by.

    Runs in the store's thread. The socket hosts see their pipes break; what they had in hand goes to the spool.
    """
    if ending.is_set():
        return
    if not node.movable:
        log.critical("another manager has this database now; this one writes nothing any more", action="superseded")
        return
    log.critical("another node works now; this one begins anew", action="superseded")
    try:
        os.execv(sys.executable, sys.orig_argv)
    except OSError as ex:
        log.critical("it cannot; it ends, for somebody to start it", action="superseded", error=str(ex))
        os._exit(EXIT_SUPERSEDED)
