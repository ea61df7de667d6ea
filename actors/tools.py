"""The commands beside `serve`. What each needs is imported when it runs, so that a socket host does not load it."""

import sys
from pathlib import Path
from typing import Any

import click

from chatbot_erp.actors.config import Config
from chatbot_erp.actors.options import (
    POSITION,
    Moment,
    as_json,
    data_dir,
    default_region,
    directory_and_database,
    follow,
    option,
    place,
)


@click.command()
@place
@click.option("--instance", "-i", help="Only this instance (its name or id).")
@click.option("--type", "-t", "types", multiple=True, help="Only this event type; may be repeated.")
@click.option("--since", type=Moment(positions=False), help="Only what was recorded from this time on.")
@click.option("--until", type=Moment(positions=False), help="Only what was recorded until this time.")
@click.option("--message-id", help="Only what has to do with this message.")
@click.option("--after", default=0, type=POSITION, help="Only what stands after this position.")
@click.option("--limit", "-n", type=click.IntRange(1), help="Stop after so many.")
@follow
@as_json
def events(**settings: Any) -> None:
    """Print what has happened, from the log of a running or a stopped manager."""
    from chatbot_erp.actors.log_commands import reporting, show_events

    reporting(lambda: show_events(**settings), shows=True, follow=settings["follow"])


@click.command()
@click.argument("name")
@place
@click.option("--at", type=Moment(positions=True), help="A position of the log, or a time in ISO 8601.  [default: now]")
@follow
@as_json
def replay(**settings: Any) -> None:
    """Show an instance and the fate of its messages as they were at a moment, folded from the log."""
    from chatbot_erp.actors.log_commands import reporting, show_replay

    reporting(lambda: show_replay(**settings), shows=True, follow=settings["follow"])


@click.command()
@place
@click.option(
    "--checkpoint",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="A signed checkpoint that was kept elsewhere, as JSON.",
)
@click.option(
    "--keep",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the newest signed checkpoint there: kept elsewhere, it proves later that nothing was changed.",
)
@as_json
def verify(**settings: Any) -> None:
    """Check that nobody changed, removed or inserted an event. Exit code 1 and the first position if so."""
    from chatbot_erp.actors.log_commands import reporting, show_verdict

    sys.exit(0 if reporting(lambda: show_verdict(**settings)) else 1)


@click.command()
@click.argument("target", type=click.Path(path_type=Path))
@data_dir
@as_json
def backup(**settings: Any) -> None:
    """Copy everything to a new directory TARGET, also while the manager runs, and verify the copy.

    It holds sessions and keys: whoever has it can speak for the numbers and read what was said.
    """
    from chatbot_erp.actors.backup_commands import make_backup
    from chatbot_erp.actors.log_commands import reporting

    reporting(lambda: make_backup(**settings))


@click.command()
@click.argument("source", type=click.Path(path_type=Path, exists=True, file_okay=False))
@data_dir
@as_json
def restore(**settings: Any) -> None:
    """Make a new data directory from the backup SOURCE. Never run the old and the new one at the same time."""
    from chatbot_erp.actors.backup_commands import restore_backup
    from chatbot_erp.actors.log_commands import reporting

    reporting(lambda: restore_backup(**settings))


@click.command()
@click.option(
    "--from",
    "directory",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    required=True,
    help="The data directory of a stopped manager.",
)
@click.option(
    "--to",
    "database",
    envvar="CHATBOT_ERP_DATABASE",
    show_envvar=True,
    required=True,
    metavar="URL",
    help="postgresql://…: an empty database.",
)
@as_json
def migrate(**settings: Any) -> None:
    """Move events, secrets and keys into a PostgreSQL database. Cut off, it goes on where it stopped.

    Sessions and the key that signs checkpoints stay in the directory: go on with `serve --data-dir DIR --database URL`.
    """
    from chatbot_erp.actors.log_commands import move_log, reporting

    reporting(lambda: move_log(**settings))


@click.command()
@directory_and_database
@option("--host", default=Config().host, help="Where the manager listens, or shall.")
@option("--port", default=Config().port, type=click.IntRange(1, 65535), help="Its port.")
@as_json
def doctor(**settings: Any) -> None:
    """Look at this machine, the data directory and the log, and say what will hurt. Exit code 1 where something does."""
    from chatbot_erp.actors.doctor import show_findings
    from chatbot_erp.actors.log_commands import reporting

    sys.exit(0 if reporting(lambda: show_findings(**settings)) else 1)


@click.group()
def keys() -> None:
    """Keys for callers. Only their hashes are kept; a running manager heeds each change at once."""


@keys.command("create")
@place
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    required=True,
    type=click.Choice(["read", "send", "manage"]),
    help="What the key allows; may be repeated. `manage` includes the others.",
)
@click.option(
    "--instance", "-i", "instances", multiple=True, help="Only this instance; may be repeated.  [default: all]"
)
@click.option("--label", default="", help="Who has it, for `keys list`.")
@as_json
def create(**settings: Any) -> None:
    """Make a key and print it, this once. From the first one on, every caller needs a key."""
    from chatbot_erp.actors.key_commands import create_key
    from chatbot_erp.actors.log_commands import reporting

    reporting(lambda: create_key(**settings))


@keys.command("list")
@place
@as_json
def list_them(**settings: Any) -> None:
    """Show the keys that were made and what they allow."""
    from chatbot_erp.actors.key_commands import list_keys
    from chatbot_erp.actors.log_commands import reporting

    reporting(lambda: list_keys(**settings), shows=True)


@keys.command()
@click.argument("key_id", metavar="ID")
@place
@as_json
def revoke(**settings: Any) -> None:
    """Let nobody in with a key any more."""
    from chatbot_erp.actors.key_commands import revoke_key
    from chatbot_erp.actors.log_commands import reporting

    reporting(lambda: revoke_key(**settings))


@click.command()
@click.argument("number")
@directory_and_database
@default_region
@click.option("--json", "as_json", is_flag=True, expose_value=False, help="As it prints in any case.")
def export(**settings: Any) -> None:
    """Print everything that the log holds of the person with NUMBER (or a LID), one JSON object a line."""
    from chatbot_erp.actors.log_commands import reporting
    from chatbot_erp.actors.subject_commands import print_held

    reporting(lambda: print_held(**settings), shows=True)


manager_url = option("--url", default="http://127.0.0.1:3000", help="Where the manager listens.")
manager_key = click.option(
    "--api-key", "--key", "key", envvar="CHATBOT_ERP_API_KEY", show_envvar=True, help="The key to show there."
)


@click.command()
@manager_url
@manager_key
@as_json
def instances(*, url: str, key: str | None, as_json: bool) -> None:
    """Show every instance of a running manager and how it is."""
    from chatbot_erp.client.api import Client
    from chatbot_erp.client.commands import asking, show_instances

    asking(lambda: show_instances(Client(url, key=key), as_json=as_json))


@click.command()
@click.argument("name")
@click.argument("number")
@click.argument("text")
@click.option("--idempotency-key", default=None, help="The same key never sends twice.")
@manager_url
@manager_key
@as_json
def send(*, url: str, key: str | None, as_json: bool, **message: Any) -> None:
    """Send TEXT from the instance NAME to NUMBER and wait for WhatsApp's acknowledgement."""
    from chatbot_erp.client.api import Client
    from chatbot_erp.client.commands import asking, send_text

    asking(lambda: send_text(Client(url, key=key), as_json=as_json, **message))


@click.command()
@click.argument("name")
@manager_url
@manager_key
@as_json
def qr(*, name: str, url: str, key: str | None, as_json: bool) -> None:
    """Show the QR code of the instance NAME, and each that follows, until the phone has scanned one."""
    from chatbot_erp.client.api import Client
    from chatbot_erp.client.commands import asking, show_qr

    sys.exit(0 if asking(lambda: show_qr(Client(url, key=key), name, as_json=as_json)) else 1)


@click.command()
@click.argument("number")
@directory_and_database
@default_region
@manager_url
@manager_key
@click.option("--yes", is_flag=True, help="Do not ask.")
@as_json
def erase(
    *,
    number: str,
    data_dir: Path,
    database: str | None,
    default_region: str | None,
    url: str,
    key: str | None,
    yes: bool,
    as_json: bool,
) -> None:
    """Forget the person with NUMBER (or a LID): nobody can read any more what they said. This cannot be undone.

    Where a manager runs on the data directory it is asked to do it, at --url.
    """
    from chatbot_erp.actors.log_commands import reporting
    from chatbot_erp.actors.subject_commands import forget
    from chatbot_erp.client.api import Client
    from chatbot_erp.client.commands import asking

    if not yes:
        click.confirm(f"Forget {number} for ever?", abort=True, err=True)
    manager = Client(url, key=key)
    asking(
        lambda: reporting(
            lambda: forget(data_dir, database, number, manager, as_json=as_json, default_region=default_region)
        )
    )


COMMANDS = (instances, send, qr, events, replay, verify, export, erase, backup, restore, migrate, doctor, keys)
"""In the order of `--help`."""
