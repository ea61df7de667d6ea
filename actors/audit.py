"""Checking the log of a running manager, in a process of its own: it costs the manager neither its interpreter nor memory."""

import contextlib
import os
import subprocess
import sys
from pathlib import Path
from threading import Lock

import msgspec

from chatbot_erp.actors.errors import AuditRunning, Unavailable
from chatbot_erp.eventstore.verify import Report

PATIENCE_S = 600.0
NICENESS = 10
"""Whoever sends or receives goes first."""


class Audit:
    """One check at a time. Any thread may call."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._running = Lock()
        self._child: subprocess.Popen[bytes] | None = None

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
        """End the check that runs, if one does: who waits for it gets `Unavailable`."""
        if (child := self._child) is not None:
            child.kill()

    def _run(self) -> Report:
        command = [sys.executable, "-m", "chatbot_erp.actors.main", "verify", "--json"]
        with subprocess.Popen(
            [*command, "--data-dir", str(self._directory.absolute())], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as child:
            self._child = child
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
                self._child = None
        try:
            return msgspec.json.decode(found, type=Report)
        except msgspec.MsgspecError:
            said = complaint.decode(errors="replace").strip().splitlines()
            raise Unavailable(said[-1] if said else "The check was ended.") from None
