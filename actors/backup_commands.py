"""`chatbot-erp backup` and `restore`: a data directory, whole, to another place and back."""

import sqlite3
import sys
from pathlib import Path

import click
from rich.console import Console
from rich.progress import Progress

from chatbot_erp.eventstore.backup import copy
from chatbot_erp.eventstore.database import FILE
from chatbot_erp.eventstore.verify import verify


def make_backup(data_dir: Path, *, target: Path) -> None:
    """Copy `data_dir`, of a running or a stopped manager, and check the copy. Raises `click.ClickException`."""
    _must_hold_a_log(data_dir)
    _copy(data_dir, target)
    print(f"{target} holds a whole copy: {_events_in(target)} events, as far as the log went when it began.")


def restore_backup(data_dir: Path, *, source: Path) -> None:
    """Copy a backup to `data_dir`, which must not exist, and check the copy. Raises `click.ClickException`."""
    _must_hold_a_log(source)
    if data_dir.is_dir() and not any(data_dir.iterdir()):
        data_dir.rmdir()
    _copy(source, data_dir)
    print(f"{data_dir} is ready to be served: {_events_in(data_dir)} events.")


def _must_hold_a_log(directory: Path) -> None:
    if not (directory / FILE).exists():
        raise click.ClickException(f"{directory} holds no event log.")


def _copy(source: Path, target: Path) -> None:
    if target.exists():
        raise click.ClickException(f"{target} is there already; name a directory that is not.")
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task("copying", total=None)
        try:
            copy(source, target, lambda done, count: bar.update(task, completed=done, total=count))
        except (OSError, sqlite3.Error) as ex:
            raise click.ClickException(f"Nothing was copied: {ex}.") from ex


def _events_in(directory: Path) -> int:
    report = verify(directory)
    if report.problem is not None:
        raise click.ClickException(f"The copy does not verify at position {report.position}: {report.problem}")
    return report.events
