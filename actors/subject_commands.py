"""`chatbot-erp export` and `erase`: what is held of somebody, and forgetting them."""

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

import click
import msgspec
from filelock import FileLock, Timeout

from chatbot_erp.actors import session_traces
from chatbot_erp.actors.config import Config
from chatbot_erp.actors.erasing import Eraser
from chatbot_erp.actors.errors import ManagerError
from chatbot_erp.actors.host_process import await_former_hosts
from chatbot_erp.actors.log_commands import line
from chatbot_erp.actors.outbox import Outbox
from chatbot_erp.actors.phone_numbers import normalise
from chatbot_erp.actors.progress import progress
from chatbot_erp.eventstore.addresses import canonical
from chatbot_erp.eventstore.database import FILE
from chatbot_erp.eventstore.errors import NoLog
from chatbot_erp.eventstore.places import open_log, open_store
from chatbot_erp.eventstore.subjects import events

HOSTS_PATIENCE_S = 10.0


class Asked(Protocol):
    """A running manager."""

    def erase(self, number: str) -> str: ...


def print_held(data_dir: Path, database: str | None, *, number: str) -> None:
    """Print every event of somebody, of a running or a stopped manager. Raises `click.ClickException`, `StoreError`."""
    # Where the events themselves come to the terminal, they show how far it is.
    with open_log(database or data_dir) as log, progress("looking", hidden=sys.stdout.isatty()) as done:
        for record in events(log, log.person(_names(data_dir, database, number)), done):
            print(line(record, as_json=True))


def forget(data_dir: Path, database: str | None, number: str, manager: Asked, *, as_json: bool) -> None:
    """Erase somebody, or have it done by the manager that runs. Raises `click.ClickException`, `StoreError`."""
    _names(data_dir, database, number)
    if database is None and not (data_dir / FILE).is_file():
        raise NoLog(f"There is no event log in {data_dir}.")
    with progress("forgetting", hidden=as_json):
        erasure = _erase(data_dir, database, number, manager)
    words = f"Forgotten. The erasure is {erasure}; backups from before still hold the keys: erase there, too."
    print(msgspec.json.encode({"erasure": erasure}).decode() if as_json else words)


def _erase(data_dir: Path, database: str | None, number: str, manager: Asked) -> str:
    """The erasure's id."""
    try:
        with FileLock(data_dir / "manager.lock", timeout=0):
            _await_former_hosts(data_dir)
            config = Config(data_dir=data_dir, database=database)
            Outbox(config).empty()
            with open_store(data_dir, database) as store:
                return Eraser(store, config).erase(number, datetime.now(UTC)).id
    except Timeout:
        return manager.erase(number)
    except ManagerError as ex:
        raise click.ClickException(str(ex)) from ex


def _await_former_hosts(data_dir: Path) -> None:
    try:
        await_former_hosts(data_dir, HOSTS_PATIENCE_S)
    except OSError as ex:
        raise click.ClickException(f"Nothing was erased: {ex}") from ex


def _names(data_dir: Path, database: str | None, number: str) -> set[str]:
    try:
        return session_traces.aliases(data_dir, database, canonical(normalise(number)))
    except ManagerError as ex:
        raise click.ClickException(str(ex)) from ex
    except OSError as ex:
        raise click.ClickException(f"Nothing was done: {ex}.") from ex
