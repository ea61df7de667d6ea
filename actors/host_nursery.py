"""Where socket hosts are born: a small process that has everything loaded and forks itself on request.

multiprocessing has such a fork server, but only one in a process, with the environment of its first use. The Go library
reads the environment its process was *executed* with, whatever `os.environ` says later: so the environment of a host
is that of its nursery. And a child of multiprocessing first runs its parent's main module again: the whole manager, for
nothing.
"""

import atexit
import contextlib
import logging
import os
import pickle
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from struct import Struct
from typing import Any, NoReturn

log = logging.getLogger(__name__)

BORN = Struct(">i")
"""What is told of a child: its process id, later its exit code as `subprocess` has it."""

_LENGTH = Struct(">I")
_EXIT_PATIENCE_S = 5.0

LOADING_PATIENCE_S = 60.0
"""The first child of a nursery comes when everything is loaded."""

FORKING_PATIENCE_S = 5.0
"""Each other one comes within milliseconds. A nursery that hangs is ended: its children outlive it, and are replaced by
those of another in the end."""

LOOK_S = 0.1
"""How soon whoever waits for a child sees that nobody wants it any more."""

Life = Callable[[Connection, Any], NoReturn]

_lock = threading.Lock()
_nurseries: dict[frozenset[tuple[str, str]], "Nursery"] = {}


@dataclass(frozen=True, slots=True)
class Wish:
    """For a child that calls `life(pipe, setting)`, both pickled. It is `given_up` when nobody waits for it any more,
    which is asked again and again meanwhile.
    """

    pipe: Connection
    life: Life
    setting: object
    given_up: Callable[[], bool]

    def check(self) -> None:
        """Raise `InterruptedError` where nobody wants it any more."""
        if self.given_up():
            raise InterruptedError("Nobody waits for a socket host any more.")


class Child:
    """A process that was born, as the manager sees it."""

    def __init__(self, status: socket.socket, patience_s: float, wish: Wish) -> None:
        self._status = status
        self._ended = False
        self._lock = threading.Lock()
        self._await_birth(patience_s, wish)
        status.settimeout(_EXIT_PATIENCE_S)
        self.pid = self._told()

    def await_end(self, patience_s: float) -> bool:
        """Whether it ends in time."""
        return self._is_told(patience_s)

    def _await_birth(self, patience_s: float, wish: Wish) -> None:
        until = time.monotonic() + patience_s
        while not self._is_told(LOOK_S):
            wish.check()
            if time.monotonic() >= until:
                raise TimeoutError("The nursery of the socket hosts does not answer.")

    def _is_told(self, patience_s: float) -> bool:
        # Not `select`, which knows no descriptors above 1023.
        word = select.poll()
        word.register(self._status, select.POLLIN)
        return bool(word.poll(patience_s * 1000))

    def exit_code(self) -> int | None:
        """Waits for the end, once. Negative for a signal; None if nobody knows, for the nursery is dead, or hangs."""
        try:
            code = self._told()
        except OSError:
            code = None
        with self._lock:
            self._ended = True
            self._status.close()
        return code

    def kill(self) -> None:
        """End it at once, unless its end is known: then its number may be another's."""
        with self._lock:
            if not self._ended:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(self.pid, signal.SIGKILL)

    def _told(self) -> int:
        data = self._status.recv(BORN.size)
        if len(data) < BORN.size:
            raise ConnectionError("The nursery of the socket hosts has died.")
        number: int = BORN.unpack(data)[0]
        return number


OURS = ("CHATBOT_ERP_", "OTEL_")
"""Callers' keys, the database's address and the key of who collects spans come in variables that begin like this."""


def _without_our_own(environment: Mapping[str, str]) -> dict[str, str]:
    """A host runs a library that has no business with ours. It needs PostgreSQL's: some sessions are there, or were."""
    return {name: value for name, value in environment.items() if not name.startswith(OURS)}


class Nursery:
    """The manager's side of one such process."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._line, theirs = socket.socketpair()
        self._line.settimeout(FORKING_PATIENCE_S)
        self._patience_s = LOADING_PATIENCE_S
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "chatbot_erp.actors.host_nursery", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                env={**_without_our_own(os.environ), **environment},
            )

    def bear(self, wish: Wish) -> Child:
        """Fork a child. Raises `OSError` if this nursery is dead.

        So does one that hangs, as `TimeoutError`, and one that is not ready when the wish is given up.
        """
        ours, theirs = socket.socketpair()
        request = pickle.dumps((sys.path, pickle.dumps((wish.life, wish.setting))))
        try:
            with theirs:
                socket.send_fds(
                    self._line, [_LENGTH.pack(len(request)) + request], [wish.pipe.fileno(), theirs.fileno()]
                )
            child = Child(ours, self._patience_s, wish)
            self._patience_s = FORKING_PATIENCE_S
            return child
        except OSError:
            ours.close()
            raise

    def lives(self) -> bool:
        """Whether its process is there."""
        return self._process.poll() is None

    def close(self) -> None:
        """No more children; those that live are not touched."""
        self._line.close()
        try:
            self._process.wait(_EXIT_PATIENCE_S)
        except subprocess.TimeoutExpired:
            self.kill()
            self._process.wait()

    def kill(self) -> None:
        """End it at once, whether it hangs or not; those that live are not touched."""
        self._process.kill()


def bear(environment: Mapping[str, str], wish: Wish) -> Child:
    """Fork a child in the nursery for this environment.

    Raises `OSError` where none is loaded (see `prepare`), which nobody waits for here, and as soon as the wish is given up.
    """
    wish.check()
    key = frozenset(environment.items())
    if (nursery := _nurseries.get(key)) is None:
        raise ConnectionError("Nothing is loaded that a socket host could be forked from.")
    with _lock:
        return _bear_or_end(key, nursery, wish)


def is_loaded(environment: Mapping[str, str]) -> bool:
    """Whether a child comes within milliseconds in the nursery for this environment, as far as anybody knows."""
    nursery = _nurseries.get(frozenset(environment.items()))
    return nursery is not None and nursery.lives()


def prepare(environment: Mapping[str, str], given_up: Callable[[], bool]) -> None:
    """Have a nursery for this environment, with everything loaded; returns when its children need not wait.

    Raises `OSError`, also when it is `given_up`.
    """
    key = frozenset(environment.items())
    ours, theirs = Pipe()
    wish = Wish(theirs, _end, None, given_up)
    with ours, theirs:
        with _lock:
            child = _first(key, environment, wish)
        child.exit_code()


def _first(key: frozenset[tuple[str, str]], environment: Mapping[str, str], wish: Wish) -> Child:
    wish.check()
    if (nursery := _nurseries.get(key)) is not None:
        with contextlib.suppress(OSError):
            return _bear_or_end(key, nursery, wish)
        wish.check()
    return _bear_or_end(key, Nursery(environment), wish)


def _end(pipe: Connection, setting: object) -> NoReturn:
    os._exit(0)


def _bear_or_end(key: frozenset[tuple[str, str]], nursery: Nursery, wish: Wish) -> Child:
    try:
        child = nursery.bear(wish)
    except OSError as ex:
        if not wish.given_up():
            log.warning("A nursery of socket hosts has died, or hangs and is ended: %s", ex)
        if _nurseries.get(key) is nursery:
            del _nurseries[key]
        nursery.kill()
        nursery.close()
        raise
    _nurseries[key] = nursery
    return child


@atexit.register
def _close_all() -> None:
    with _lock:
        for nursery in _nurseries.values():
            nursery.close()
        _nurseries.clear()


def main(descriptor: int) -> None:
    """The nursery's own process: fork on request, tell each child's end, until the manager hangs up."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    wake_r, wake_w = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake_w)

    import chatbot_erp.actors.host_preload  # noqa: F401

    children: dict[int, socket.socket] = {}
    with socket.socket(fileno=descriptor) as line:
        while True:
            ready = select.select([line.fileno(), wake_r], [], [])[0]
            if wake_r in ready:
                os.read(wake_r, 4096)
                _tell_ends(children)
            if line.fileno() in ready:
                data, descriptors, _, _ = socket.recv_fds(line, _LENGTH.size, 2)
                if len(data) < _LENGTH.size:
                    return
                request = _receive(line, _LENGTH.unpack(data)[0])
                pipe, status = Connection(descriptors[0]), socket.socket(fileno=descriptors[1])
                pid = os.fork()
                if pid == 0:
                    signal.set_wakeup_fd(-1)
                    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                    for foreign in (line, status, *children.values()):
                        foreign.close()
                    os.close(wake_r)
                    os.close(wake_w)
                    _live(pipe, request)
                status.sendall(BORN.pack(pid))
                children[pid] = status
                pipe.close()


def _live(pipe: Connection, request: bytes) -> NoReturn:
    try:
        sys.path[:], rest = pickle.loads(request)
        life, setting = pickle.loads(rest)
        life(pipe, setting)
    except BaseException:
        log.exception("A child failed before its life began.")
    finally:
        os._exit(1)


def _tell_ends(children: dict[int, socket.socket]) -> None:
    with contextlib.suppress(ChildProcessError):
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            with children.pop(pid) as told, contextlib.suppress(OSError):
                told.sendall(BORN.pack(os.waitstatus_to_exitcode(status)))


def _receive(line: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        data += line.recv(size - len(data))
    return data


if __name__ == "__main__":
    main(int(sys.argv[1]))
