"""The process of a manager: how it begins, where it listens, and what ends it.

This is the one file that knows all rooms; nothing imports it but the command line.
"""

import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from functools import partial
from threading import Thread
from types import FrameType
from typing import Any, Protocol

import structlog
from filelock import Timeout

from chatbot_erp.actors.assembly import Surroundings, open_house
from chatbot_erp.actors.config import Config
from chatbot_erp.actors.ending import EXIT_HANGS, HAND_OVER_S, REQUESTS_S, EndCame, Ending
from chatbot_erp.actors.host_loading import get_ready
from chatbot_erp.actors.hosts import LATE_S
from chatbot_erp.actors.logs import configure_logs
from chatbot_erp.actors.manager import Manager
from chatbot_erp.actors.spans import TracesUnavailable, configure_traces
from chatbot_erp.actors.supervisor_actor import LOOK_EVERY_S
from chatbot_erp.eventstore.errors import StoreError, StoreUnavailable
from chatbot_erp.eventstore.lease import Node

log = structlog.get_logger()

PULSE_PATIENCE_S = 120.0
"""A supervisor that hangs for so long will not come back: whoever started this process starts a new one."""

TURN_EVERY_S = 0.2
EXIT_SUPERSEDED = 75


def run(config: Config, *, sandbox: bool, sandbox_network: str | None) -> int:
    """Run the manager until a signal; the process exit code."""
    configure_logs()
    os.umask(0o077)
    ending = Ending()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, partial(_heed, ending))
    try:
        with ExitStack() as stack:
            stack.callback(configure_traces())
            network = _enter_network(stack, sandbox, sandbox_network)
            node = Node(name=config.node, movable=config.share, lease_s=config.lease_s)
            surroundings = _surroundings(network)
            loading = Thread(
                target=get_ready, args=(surroundings.environment, ending.is_set), name="loading", daemon=True
            )
            if node.movable:
                loading.start()
            house = partial(open_house, config, surroundings, node, partial(begin_anew, node, ending), ending)
            manager = await_turn(stack, house, node, ending)
            if manager is None:
                return 0
            if node.movable:
                # What others hand over is away meanwhile.
                loading.join()
            # Large bodies are kept in files without a name; elsewhere there may be little room, or only memory.
            tempfile.tempdir = str(config.data_dir.absolute())
            address = stack.enter_context(_listen(manager, config, network, ending))
            print(f"chatbot-erp listens on {address}", flush=True)
            if not await_end(ending, manager.pulse_age_s):
                # Nothing is healed any more: better to end at once, which the log survives.
                log.critical("the supervisor hangs; this process ends", action="supervisor_hangs")
                os._exit(EXIT_HANGS)
            ending.keep()
            log.info("shutting down", action="shutdown")
    except Timeout:
        print(f"chatbot-erp cannot run: another manager works in {config.data_dir}.", file=sys.stderr)
        return 1
    except StoreError as ex:
        # What the root says to do, and what is said of that which heals by itself, is for a manager that runs.
        action = "" if type(ex) is StoreError or ex.retryable else f" {ex.action}"
        print(f"chatbot-erp cannot run: {ex}{action} ({ex.code})", file=sys.stderr)
        return 1
    except (OSError, TracesUnavailable) as ex:
        print(f"chatbot-erp cannot run: {ex}", file=sys.stderr)
        return 1
    for number in (signal.SIGTERM, signal.SIGINT):
        # All is over in good order; one that comes while Python winds up would have it end as if it were not.
        signal.signal(number, signal.SIG_IGN)
    return 0


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
    """Children of the life before `begin_anew`: nobody else waits for them. One of this life that has ended is no loss."""
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


class Waits(Protocol):
    """What is wanted of an `Ending`."""

    def wait(self, timeout: float, /) -> bool: ...


def await_end(ending: Waits, pulse_age_s: Callable[[], float], clock: Callable[[], float] = time.monotonic) -> bool:
    """Wait for a signal; false if the supervisor hangs before one comes.

    A process that was held up as a whole (a paused container) looks late itself, and gives its supervisor another turn.
    """
    looked_at = clock()
    while not ending.wait(LOOK_EVERY_S):
        before, looked_at = looked_at, clock()
        if looked_at - before < LATE_S and pulse_age_s() > PULSE_PATIENCE_S:
            return False
    return True


def _heed(ending: Ending, number: int, frame: FrameType | None) -> None:
    """The first signal asks for an orderly end; the second ends at once, which the log survives."""
    if ending.is_set():
        os._exit(130)
    ending.set()


def _enter_network(stack: ExitStack, sandbox: bool, sandbox_network: str | None) -> Any:
    """The sandbox's network where it is asked for, else None."""
    if not sandbox and sandbox_network is None:
        return None
    from chatbot_erp.sandbox.client import Network

    network = Network.connect(sandbox_network) if sandbox_network else stack.enter_context(Network.start())
    print(f"sandbox network: {network.control_url}", flush=True)
    return network


def _surroundings(network: Any) -> Surroundings:
    """What makes the WhatsApp library speak with the sandbox, or with WhatsApp."""
    if network is None:
        return Surroundings(environment={}, prelude=None)
    from chatbot_erp.sandbox.trust import trust_root_key

    return Surroundings(environment=network.environment(), prelude=partial(trust_root_key, network.root_key))


@contextmanager
def _listen(manager: Manager, config: Config, network: Any, ending: Ending) -> Iterator[str]:
    """Answer HTTP, and have the other nodes know where; at the end hand over to them, and let what is under way finish."""
    from chatbot_erp.http.serving import start_http

    playground = None
    if network is not None:
        from chatbot_erp.sandbox.playground import Playground

        playground = Playground(network)
    server = start_http(manager, config, playground)
    try:
        manager.join(config.advertise or server.url)
        yield server.url
    finally:
        manager.hand_over(ending.left_s(HAND_OVER_S))
        manager.drain()
        server.stop(ending.left_s(REQUESTS_S))
