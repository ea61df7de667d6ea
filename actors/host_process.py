"""The manager's side of a socket host: start it, give it orders, hear it, see it die."""

import contextlib
import fcntl
import logging
import os
import queue
import select
import signal
import socket
import threading
import time
from collections.abc import Callable, Mapping
from multiprocessing import Pipe
from pathlib import Path
from types import MappingProxyType

import msgspec

from chatbot_erp.actors.frames import Alive, EndHost, Order, Word, decode_words, encode_frame
from chatbot_erp.actors.host_main import HostSetting, run_host
from chatbot_erp.actors.host_nursery import Wish, bear
from chatbot_erp.actors.house import HostGone
from chatbot_erp.actors.socket_host import neonize_sockets
from chatbot_erp.actors.spool import close_spool, unfinished_spools
from chatbot_erp.actors.wa_port import SocketFactory

log = logging.getLogger(__name__)

ENVIRONMENT = MappingProxyType({"NEONIZE_BOT_TAG": "off"})
"""For every host. Left to itself, neonize marks each text as written by a business bot."""

WAITING_ORDERS = 10_000
SHORT_BYTES = 4096
"""What a pipe that is writable takes at once; longer orders, which might block, are left to a thread."""

TAIL_BYTES = 4096
REAP_PATIENCE_S = 5.0
"""A host that has lost its manager closes what it can, and spools, within that time; then it is killed."""

GIVEN_UP_PATIENCE_S = 15.0
"""The same where nobody waits for its end: a sick disk takes its time."""

KILLED_PATIENCE_S = 1.0


class HostDeath(msgspec.Struct, frozen=True, kw_only=True):
    """A host has ended. `exit_code` is None where a signal ended it, `signal` otherwise.

    Both are None if its nursery died, too. `stderr_tail` may hold phone numbers: it is for the operator.
    """

    name: str
    exit_code: int | None
    signal: int | None
    stderr_tail: str


class HostProcess:
    """One running socket host.

    `directory` holds all our data; `name` must be new. `environment` is added to this process's own for the host;
    `prelude` runs in it after the WhatsApp library was loaded. It is pickled, as `sockets` is: importable by name.

    `on_word` and `on_death` are called on a thread of this object and must only hand over. `on_death` comes exactly
    once, after the last word, however the host ended. Raises `OSError` if no process can be had, as where nothing is loaded
    that it could be forked from (host_loading.py), or if it is `given_up`, which is asked again and again meanwhile.
    """

    def __init__(
        self,
        name: str,
        directory: Path,
        on_word: Callable[[Word], None],
        on_death: Callable[[HostDeath], None],
        prelude: Callable[[], None] | None = None,
        environment: Mapping[str, str] = MappingProxyType({}),
        sockets: Callable[[], SocketFactory] = neonize_sockets,
        given_up: Callable[[], bool] = lambda: False,
    ) -> None:
        self.name = name
        self._setting = HostSetting(name=name, directory=directory, prelude=prelude, sockets=sockets)
        self.vitals: Alive | None = None
        self.last_alive = time.monotonic()
        self._on_word = on_word
        self._on_death = on_death
        self._orders: queue.Queue[bytes | None] = queue.Queue(WAITING_ORDERS)
        self._door = threading.Lock()
        self._waiting = 0
        self._reap_patience_s = REAP_PATIENCE_S
        self._ready = threading.Event()
        self._dead = threading.Event()
        self._pipe, host_end = Pipe()
        self._room = select.poll()
        self._room.register(self._pipe, select.POLLOUT)
        # Only the host may keep its end, or its death would not break the pipe.
        with host_end:
            self._child = bear({**ENVIRONMENT, **environment}, Wish(host_end, run_host, self._setting, given_up))
        threading.Thread(target=self._read, name=f"{self.name}-words", daemon=True).start()
        threading.Thread(target=self._write, name=f"{self.name}-orders", daemon=True).start()

    @property
    def pid(self) -> int:
        return self._child.pid

    def order(self, order: Order) -> None:
        """Hand over an order, in order, without waiting for it. Raises `HostGone`.

        It is written on the caller's thread where the pipe has room, which spares two switches of threads (0.5 ms of
        CPU a message under load), and waits for a thread of its own where the host is behind.
        """
        frame = encode_frame(order)
        with self._door:
            if self._dead.is_set():
                raise HostGone(f"The socket host {self.name} has ended.")
            try:
                if self._waiting == 0 and self._takes_at_once(frame):
                    self._pipe.send_bytes(frame)
                    return
                self._orders.put_nowait(frame)
                self._waiting += 1
            except queue.Full:
                raise HostGone(f"The socket host {self.name} takes no orders.") from None
            except (OSError, ValueError):
                raise HostGone(f"The socket host {self.name} is ending.") from None

    def end(self, timeout_s: float, spooling_s: float = REAP_PATIENCE_S) -> bool:
        """Have it close its sockets and exit, and wait; what takes longer is ended without its sockets (false).

        Then it spools what it has in hand and the log did not take. That is waited for `spooling_s`; one that needs more
        than `REAP_PATIENCE_S` is killed.
        """
        with contextlib.suppress(HostGone):
            self.order(EndHost())
        if self._dead.wait(timeout_s):
            return True
        self._hang_up(REAP_PATIENCE_S)
        self._dead.wait(spooling_s + KILLED_PATIENCE_S)
        return False

    def give_up(self) -> None:
        """Have it spool what it has in hand and exit, without waiting for its sockets; one that does not is killed.

        Returns at once; `on_death` follows.
        """
        self._hang_up(GIVEN_UP_PATIENCE_S)

    def kill(self) -> None:
        """End it at once; `on_death` follows. WhatsApp's server repeats what the host had not taken in."""
        self._child.kill()

    def _hang_up(self, reap_patience_s: float) -> None:
        """As if the manager had gone. To close the pipe would not do: a thread waits for words from it."""
        with self._door:
            self._reap_patience_s = reap_patience_s
            if not self._dead.is_set():
                with contextlib.suppress(OSError), socket.socket(fileno=os.dup(self._pipe.fileno())) as line:
                    line.shutdown(socket.SHUT_RDWR)

    def _write(self) -> None:
        self._ready.wait()
        while (frame := self._orders.get()) is not None:
            try:
                self._pipe.send_bytes(frame)
            except (OSError, ValueError):
                return
            with self._door:
                self._waiting -= 1

    def _takes_at_once(self, frame: bytes) -> bool:
        if not self._ready.is_set() or len(frame) > SHORT_BYTES:
            return False
        return bool(self._room.poll(0))

    def _read(self) -> None:
        try:
            while True:
                self._hear(self._pipe.recv_bytes())
        except (EOFError, OSError):
            pass
        except msgspec.MsgspecError:
            log.exception("The socket host %s speaks gibberish and is ended.", self.name)
        self._bury()

    def _hear(self, frame: bytes) -> None:
        words = decode_words(frame)
        self._ready.set()
        self.last_alive = time.monotonic()
        for word in words:
            if isinstance(word, Alive):
                self.vitals = word
            try:
                self._on_word(word)
            except Exception:
                log.exception("A word of the socket host %s found nobody; the host keeps it if it matters.", self.name)

    def _bury(self) -> None:
        if not self._child.await_end(self._reap_patience_s):
            self._child.kill()
        code = self._child.exit_code()
        with self._door:
            self._dead.set()
            self._pipe.close()
        self._ready.set()
        with contextlib.suppress(queue.Full):
            self._orders.put_nowait(None)
        death = HostDeath(
            name=self.name,
            exit_code=code if code is not None and code >= 0 else None,
            signal=-code if code is not None and code < 0 else None,
            stderr_tail=_tail(self._setting.stderr),
        )
        try:
            if not _is_locked(self._setting.lock):
                self._setting.stderr.unlink(missing_ok=True)
                self._setting.lock.unlink(missing_ok=True)
        except OSError as ex:
            # The next start looks at it; those whose sockets were in the host must hear of its end now.
            log.warning("Files of the socket host %s stay: %s", self.name, ex)
        self._on_death(death)


def await_former_hosts(directory: Path, patience_s: float, killed_patience_s: float = REAP_PATIENCE_S) -> list[str]:
    """Wait until no host of an earlier manager lives, so that no session is opened twice; then read the spools.

    Such hosts end by themselves within seconds. Those that do not are killed after `patience_s`; their names are given.
    Raises `OSError` where that does not help within another `killed_patience_s`.
    """
    killed: list[str] = []
    deadline = time.monotonic() + patience_s
    for path in sorted((directory / "hosts").glob("*.lock")):
        last = max(deadline, time.monotonic()) + killed_patience_s
        while _is_locked(path):
            now = time.monotonic()
            if now >= last:
                raise OSError(
                    f"{path} is still locked by a process of the last manager: end it (`fuser {path}` names it)."
                )
            if now >= deadline and path.stem not in killed:
                with contextlib.suppress(ProcessLookupError, PermissionError, ValueError):
                    os.kill(int(path.read_text()), signal.SIGKILL)
                    killed.append(path.stem)
            time.sleep(0.02)
        path.unlink(missing_ok=True)
    return killed


def close_spools_of_ended(directory: Path) -> bool:
    """As `spool.close_spools`, beside hosts that live: of those that have ended. False where one that lives writes still."""
    locks = sorted((directory / "hosts").glob("*.lock"))
    are_closed = True
    for part in unfinished_spools(directory):
        if any(part.name.startswith(lock.stem) and _is_locked(lock) for lock in locks):
            are_closed = False
        else:
            close_spool(part)
    return are_closed


def _is_locked(path: Path) -> bool:
    try:
        with path.open() as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        pass
    return False


def _tail(path: Path) -> str:
    """The end of what the host wrote; of a Go crash its beginning, where the reason stands before all the stacks."""
    try:
        written = path.read_bytes()
    except OSError:
        return ""
    start = min((at for word in (b"fatal error: ", b"panic: ") if (at := written.rfind(word)) >= 0), default=-1)
    return (written[start : start + TAIL_BYTES] if start >= 0 else written[-TAIL_BYTES:]).decode(errors="replace")
