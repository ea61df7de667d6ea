"""Where it is put what an instance could not make sense of, so that it goes on with the rest.

A file in `parked/` of the data directory holds the command and the error. It may hold what somebody wrote: mode 0600,
and nothing of it in a log line.
"""

import os
from datetime import datetime
from pathlib import Path
from uuid import uuid4

import msgspec
import structlog

from chatbot_erp.actors.commands import Command
from chatbot_erp.actors.house import House

log = structlog.get_logger()


class Parked(msgspec.Struct, frozen=True, kw_only=True):
    """What could not be handled, when, and why."""

    instance: str
    at: datetime
    kind: str
    error: str
    command: str


class Parking:
    """Of one instance."""

    def __init__(self, instance: str, house: House) -> None:
        self._instance = instance
        self._house = house

    def put(self, command: Command, error: Exception) -> bool:
        """Put aside what can never be handled, and say so. Whether that was possible."""
        kind = kind_of(command)
        at = self._house.now()
        parked = Parked(instance=self._instance, at=at, kind=kind, error=repr(error), command=repr(command))
        try:
            path = write(self._house.config.data_dir, parked)
        except OSError as ex:
            log.error("nothing can be parked", action="park_failed", instance=self._instance, kind=kind, error=str(ex))
            return False
        # Without the error's text, which may quote what somebody wrote.
        name = type(error).__name__
        log.error("parked", action="parked", instance=self._instance, kind=kind, error=name, file=str(path))
        self._house.tallies.count("parked", kind)
        return True


def write(directory: Path, parked: Parked) -> Path:
    """Keep it on disk; the file. Raises `OSError`. `directory` holds all our data."""
    folder = directory / "parked"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / f"{parked.instance}-{uuid4()}.json"
    fields = {name: readable(value) for name, value in msgspec.structs.asdict(parked).items()}
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(msgspec.json.encode(fields))
        file.flush()
        os.fsync(file.fileno())
    return path


def kind_of(command: Command) -> str:
    """What it was, for a log line: the kind of the observation where it is one."""
    return type(getattr(command, "observation", command)).__name__


def readable(value: object) -> object:
    """What cannot be stored is often text that is no Unicode."""
    return value.encode(errors="backslashreplace").decode() if isinstance(value, str) else value
