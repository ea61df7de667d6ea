"""`chatbot-erp backup` and `restore`: a data directory, whole, to another place and back."""

import sqlite3
from pathlib import Path

import click
import msgspec

from chatbot_erp.actors.progress import progress
from chatbot_erp.eventstore import checkpoints, database
from chatbot_erp.eventstore.backup import copy, is_vacant
from chatbot_erp.eventstore.places import MOVED
from chatbot_erp.eventstore.verify import verify


def make_backup(data_dir: Path, *, target: Path, as_json: bool) -> None:
    """Copy `data_dir`, of a running or a stopped manager, and check the copy. Raises `click.ClickException`."""
    _must_be_a_managers(data_dir)
    events = _copy(data_dir, target, as_json)
    if events is None:
        words = f"{target} holds a whole copy of the files. The log is in PostgreSQL: back that up, too."
    else:
        words = f"{target} holds a whole copy: {events} events, as far as the log went when it began."
    _tell(words, target, events, as_json)


def restore_backup(data_dir: Path, *, source: Path, as_json: bool) -> None:
    """Copy a backup to `data_dir`, which must be empty or not be there, and check the copy.

    Raises `click.ClickException`.
    """
    _must_be_a_managers(source)
    events = _copy(source, data_dir, as_json)
    what = "its log is in PostgreSQL" if events is None else f"{events} events"
    _tell(f"{data_dir} is ready to be served: {what}.", data_dir, events, as_json)


def _tell(words: str, directory: Path, events: int | None, as_json: bool) -> None:
    print(msgspec.json.encode({"directory": str(directory), "events": events}).decode() if as_json else words)


def _must_be_a_managers(directory: Path) -> None:
    """The key that signs checkpoints is there wherever the log is."""
    if not any((directory / name).exists() for name in (database.FILE, checkpoints.FILE)):
        raise click.ClickException(f"{directory} holds no event log.")


def _copy(source: Path, target: Path, as_json: bool) -> int | None:
    """Copy and check the copy; how many events it holds, None where the log is in PostgreSQL."""
    try:
        vacant = is_vacant(target)
    except OSError as ex:
        raise click.ClickException(f"{target} cannot be a copy: {ex}.") from ex
    if not vacant:
        raise click.ClickException(f"{target} is there already; name a directory that is not, or one that is empty.")
    with progress("copying", hidden=as_json) as done:
        try:
            copy(source, target, done)
        except (OSError, sqlite3.Error) as ex:
            raise click.ClickException(f"Nothing was copied: {ex}.") from ex
    if (target / MOVED).exists() or not (target / database.FILE).exists():
        return None
    with progress("checking the copy", hidden=as_json) as done:
        report = verify(target, progress=done)
    if report.problem is not None:
        raise click.ClickException(f"The copy does not verify: {report.problem}")
    return report.events
