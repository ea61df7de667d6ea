"""The process of a socket host: what it is started with, in which order it begins, and what it leaves when it ends."""

import fcntl
import logging
import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NoReturn

from chatbot_erp.actors.frames import Said
from chatbot_erp.actors.socket_host import SocketHost, neonize_sockets
from chatbot_erp.actors.socket_words import Ledger
from chatbot_erp.actors.spool import drop_unfinished, give_room, keep_room, write_spool
from chatbot_erp.actors.wa_port import SocketFactory

log = logging.getLogger(__name__)

SPOOL_PATIENCE_S = 3600.0
"""A manager that lives, or the next one, ends a host sooner that does not end."""

SPOOL_AGAIN_S, SPOOL_RARELY_S = 0.1, 3.0
"""After so long a disk is tried again, first and at last: each time all of it is written."""

SPOOLS = 9
"""What is heard after so many is not waited for: a socket that goes on and on must not keep its host alive."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostSetting:
    """What a host is started with. Everything here is pickled: functions must be importable by their names.

    `prelude` runs after the library was loaded.
    """

    name: str
    directory: Path
    prelude: Callable[[], None] | None = None
    sockets: Callable[[], SocketFactory] = neonize_sockets

    @property
    def lock(self) -> Path:
        """Locked as long as the host lives; says its process id."""
        return self.directory / "hosts" / f"{self.name}.lock"

    @property
    def stderr(self) -> Path:
        return self.directory / "hosts" / f"{self.name}.log"

    @property
    def spool(self) -> str:
        """How the spool of this process is called."""
        return f"{self.name}-{os.getpid()}"


def run_host(pipe: Connection, setting: HostSetting) -> NoReturn:
    """The main function of a host's process. The order of its steps is what matters.

    Nothing is said before the lock is held, and the manager gives no order before it hears something: no session can be
    opened by a host that a later manager does not see.
    """
    status = 1
    try:
        os.umask(0o077)
        setting.lock.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        hold_lock(setting.lock)
        _redirect_output(setting.stderr)
        _keep_room(setting)
        # Ctrl-C and a service manager's SIGTERM reach the whole group; the manager is the one who ends its hosts.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        sockets = setting.sockets()
        if setting.prelude is not None:
            setting.prelude()
        host = SocketHost(pipe, sockets, lambda words: set_aside(setting, words))
        host.serve(lambda mouth: leave_spools(setting, mouth.ledger))
        status = 0
    except BaseException:
        log.exception("The host %s failed.", setting.name)
    finally:
        with suppress(OSError):
            sys.stderr.flush()
        # Threads of the library that never end would keep an ordinary exit waiting.
        os._exit(status)


def hold_lock(path: Path) -> None:
    """Lock the file for the life of this process and write the process id into it. Raises `BlockingIOError`."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.ftruncate(descriptor, 0)
    os.write(descriptor, str(os.getpid()).encode())


def _redirect_output(stderr: Path) -> None:
    """The library prints pairing codes to stdout: that goes nowhere. Its stderr is kept for a post-mortem."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, 0)
    os.dup2(nowhere, 1)
    # With O_APPEND a file that was cut short goes on at its beginning.
    os.dup2(os.open(stderr, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600), 2)


def _keep_room(setting: HostSetting) -> None:
    try:
        keep_room(setting.directory, setting.spool)
    except OSError as ex:
        log.warning("The disk has no room that could be kept for a spool: %s", ex)


def set_aside(setting: HostSetting, words: list[Said]) -> None:
    """Spool these for another node. Raises `OSError`, and leaves nothing then."""
    name = f"{setting.name}-{time.time_ns()}"
    try:
        write_spool(setting.directory, name, words)
    except OSError:
        # Whoever is to be forgotten waits for a spool that is not finished: this one never would be.
        drop_unfinished(setting.directory, name)
        raise


def leave_spools(setting: HostSetting, ledger: Ledger) -> None:
    """Write what is unconfirmed, and what sockets that do not close hear meanwhile, to a spool of its own each time.

    Not over the one before: the room that was kept is used up, and half a spool must not take the place of a whole one.
    """
    spooled: dict[str, int] = {}
    for name in (setting.spool, *(f"{setting.spool}_{number}" for number in range(2, SPOOLS + 1))):
        if not _spool(setting.directory, name, ledger, spooled):
            break
    give_room(setting.directory, setting.spool)


def _spool(directory: Path, name: str, ledger: Ledger, spooled: dict[str, int]) -> bool:
    """Whether there was something; tried again and again, until the disk takes it or somebody ends this process.

    `spooled` has the last number of each instance that is on disk. That confirms nothing: a manager that lives would take
    what is heard next before what is in the spool.
    """
    until, pause_s = time.monotonic() + SPOOL_PATIENCE_S, SPOOL_AGAIN_S
    while words := [word for word in ledger.unconfirmed() if word.number > spooled.get(word.instance, 0)]:
        try:
            write_spool(directory, name, words)
        except OSError as ex:
            if time.monotonic() > until:
                raise OSError(f"{len(words)} words could not be spooled, but for the first of them.") from ex
            if pause_s == SPOOL_AGAIN_S:
                log.error("%d words cannot be spooled, which is tried again: %s", len(words), ex)
            time.sleep(pause_s)
            pause_s = min(2 * pause_s, SPOOL_RARELY_S)
        else:
            spooled.update((word.instance, word.number) for word in words)
            return True
    return False
