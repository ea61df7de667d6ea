"""`chatbot-erp export` and `erase`: what is held of somebody, and forgetting them."""

import sys
from contextlib import closing
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
from chatbot_erp.actors.spool import close_spools
from chatbot_erp.eventstore.addresses import canonical
from chatbot_erp.eventstore.database import FILE
from chatbot_erp.eventstore.errors import NoLog, StoreUnavailable
from chatbot_erp.eventstore.lease import VISITOR
from chatbot_erp.eventstore.places import open_log, open_store, open_vault
from chatbot_erp.eventstore.subjects import events

HOSTS_PATIENCE_S = 10.0


class Erasure(Protocol):
    """Somebody is forgotten; by the nodes in `awaited`, which are down, when they are back.

    `subjects` is 0 where the log knew nobody of that number, or had forgotten them before.
    """

    @property
    def id(self) -> str: ...

    @property
    def subjects(self) -> int: ...

    @property
    def awaited(self) -> tuple[str, ...]: ...


class Asked(Protocol):
    """A running manager."""

    def erase(self, number: str) -> Erasure: ...


def print_held(data_dir: Path, database: str | None, *, number: str, default_region: str | None) -> None:
    """Print every event of somebody, of a running or a stopped manager. Raises `click.ClickException`, `StoreError`."""
    names = _names(data_dir, database, _international(number, default_region))
    # Where the events themselves come to the terminal, they show how far it is.
    with open_log(database or data_dir) as log, progress("looking", hidden=sys.stdout.isatty()) as done:
        for record in events(log, log.person(names), done):
            print(line(record, as_json=True))


def forget(
    data_dir: Path,
    database: str | None,
    number: str,
    manager: Asked,
    *,
    as_json: bool,
    default_region: str | None = None,
) -> None:
    """Erase somebody, or have it done by the manager that runs, which takes a number by its own region where none is given.

    Raises `click.ClickException`, `StoreError`.
    """
    if default_region is not None:
        number = _international(number, default_region)
    if database is None and not (data_dir / FILE).is_file():
        raise NoLog(f"There is no event log in {data_dir}.")
    with progress("forgetting", hidden=as_json):
        erasure = _erase(data_dir, database, number, manager)
    if erasure.subjects:
        words = f"Forgotten. The erasure is {erasure.id}; backups from before still hold the keys: erase there, too."
    else:
        words = f"The log knows nobody of the number {number}, or no longer: see whether it is the right one."
    if erasure.awaited:
        words += f" On the machines of these nodes, which are down, when they are back: {', '.join(erasure.awaited)}."
    said = {"erasure": erasure.id, "subjects": erasure.subjects, "awaited": erasure.awaited}
    print(msgspec.json.encode(said).decode() if as_json else words)


def _erase(data_dir: Path, database: str | None, number: str, manager: Asked) -> Erasure:
    try:
        with FileLock(data_dir / "manager.lock", timeout=0):
            number = _international(number)
            _names(data_dir, database, number)
            _await_former_hosts(data_dir)
            close_spools(data_dir)
            config = Config(data_dir=data_dir, database=database)
            Outbox(config).empty()
            with open_store(data_dir, database, VISITOR) as store, closing(open_vault(database or data_dir)) as vault:
                return Eraser(store, config, vault).erase(number, datetime.now(UTC))
    except Timeout:
        # No path can carry this separator.
        return manager.erase(number.replace("/", "-"))
    except StoreUnavailable as ex:
        if database is None or ex.trouble != "locked":
            raise
        raise click.ClickException(
            "Nothing was erased. A manager has the database to itself, or managers of an older version work with it: ask"
            " one of them (DELETE /subjects/NUMBER). Or somebody else erases just now: try again."
        ) from ex
    except ManagerError as ex:
        raise click.ClickException(str(ex)) from ex


def _await_former_hosts(data_dir: Path) -> None:
    try:
        await_former_hosts(data_dir, HOSTS_PATIENCE_S)
    except OSError as ex:
        raise click.ClickException(f"Nothing was erased: {ex}") from ex


def _international(number: str, region: str | None = None) -> str:
    """A number as whoever is asked next takes it, from whichever region that may dial."""
    try:
        whole = normalise(number, region)
    except ManagerError as ex:
        raise click.ClickException(str(ex)) from ex
    return whole if "@" in whole else f"+{whole}"


def _names(data_dir: Path, database: str | None, number: str) -> set[str]:
    try:
        return session_traces.aliases(data_dir, database, canonical(normalise(number)))
    except OSError as ex:
        raise click.ClickException(f"Nothing was done: {ex}.") from ex
