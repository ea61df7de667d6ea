"""Checking the log of a running manager, in a process of its own: it costs the manager neither its interpreter nor memory."""

import contextlib
import os
import subprocess
import sys
from pathlib import Path
from threading import Lock

import msgspec

from chatbot_erp.actors.errors import AuditRunning, Unavailable
from chatbot_erp.eventstore.walk import Report

PATIENCE_S = 600.0
NICENESS = 10
"""Whoever sends or receives goes first."""


class Audit:
    """One check at a time, of the log in a directory or a database. Any thread may call."""

    def __init__(self, directory: Path, database: str | None = None) -> None:
        self._directory = directory
        self._database = database
        self._running = Lock()
        self._turn = Lock()
        self._child: subprocess.Popen[bytes] | None = None
        self._has_ended = False

    def run(self) -> Report:
        """Check every event that there is now. Raises `AuditRunning`, `Unavailable`."""
        if not self._running.acquire(blocking=False):
            raise AuditRunning("Somebody has the log checked already.")
        try:
            return self._run()
        finally:
            self._running.release()

    def is_running(self) -> bool:
        """Whether the log is being checked just now."""
        return self._running.locked()

    def stop(self) -> None:
        """End the check that runs, if one does, and begin no other: who waits for one gets `Unavailable`."""
        with self._turn:
            self._has_ended = True
            if self._child is not None:
                self._child.kill()

    def _start(self) -> subprocess.Popen[bytes]:
        """The place is told by the environment: others on the machine see a command line, and passwords in it."""
        place = {"CHATBOT_ERP_DATA_DIR": str(self._directory.absolute()), "CHATBOT_ERP_DATABASE": self._database or ""}
        command = [sys.executable, "-m", "chatbot_erp.actors.main", "verify", "--json"]
        with self._turn:
            if self._has_ended:
                raise Unavailable("The manager is shutting down.")
            self._child = subprocess.Popen(
                command, env={**os.environ, **place}, stdout=subprocess.PIPE, stderr=subprocess.PIPE
            )
            return self._child

    def _run(self) -> Report:
        with self._start() as child:
            try:
                with contextlib.suppress(OSError):
                    os.setpriority(os.PRIO_PROCESS, child.pid, NICENESS)
                found, complaint = child.communicate(timeout=PATIENCE_S)
            except subprocess.TimeoutExpired:
                child.kill()
                raise Unavailable(
                    f"The log is not checked within {PATIENCE_S:.0f} s: run `chatbot-erp verify`."
                ) from None
            finally:
                with self._turn:
                    self._child = None
        try:
            return msgspec.json.decode(found, type=Report)
        except msgspec.MsgspecError:
            said = complaint.decode(errors="replace").strip().splitlines()
            raise Unavailable(said[-1] if said else "The check was ended.") from None
