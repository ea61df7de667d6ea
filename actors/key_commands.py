"""`chatbot-erp keys`: make, list and revoke keys, beside a running manager or before its first start."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import msgspec
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from chatbot_erp.actors.api_keys import ApiKey, KeyRing, Scope
from chatbot_erp.eventstore import database
from chatbot_erp.eventstore.keys_file import FILE
from chatbot_erp.eventstore.places import Place, open_vault


def has_keys(place: Place) -> bool:
    """Whether callers of the manager of this place need a key already. Raises `StoreError`."""
    if isinstance(place, Path) and not (place / FILE).exists():
        return False
    with key_ring(place) as ring:
        return not ring.is_empty()


def create_key(place: Place, *, scopes: tuple[str, ...], instances: tuple[str, ...], label: str, as_json: bool) -> None:
    """Make a key and print it, this once; on stderr, of which manager it is. Raises `StoreError`."""
    where = str(place.absolute()) if isinstance(place, Path) else "the database"
    if isinstance(place, Path) and not (place / database.FILE).exists():
        print(f"There is no log in {where} yet: the key is one of a manager that is started there.", file=sys.stderr)
    reach = frozenset(instances) or None
    with key_ring(place, makes=True) as ring:
        key, record = ring.create(frozenset(map(Scope, scopes)), reach, label, datetime.now(UTC))
    if as_json:
        print(msgspec.json.encode({"key": key, **shown(record)}).decode())
        return
    print(key)
    print(f"This is key {record.id} in {where}: {description(record)}. It is shown this once.", file=sys.stderr)


def list_keys(place: Place, *, as_json: bool) -> None:
    """Print every key that was ever made, but not what opens with it. Raises `ClickException`, `StoreError`."""
    with key_ring(place) as ring:
        records = ring.all()
    if as_json:
        for record in records:
            print(msgspec.json.encode(shown(record)).decode())
        return
    table = Table("id", "label", "allows", "made", "revoked")
    for record in records:
        revoked = f"{record.revoked_at:%Y-%m-%d %H:%M}" if record.revoked_at else ""
        words = (record.id, record.label, description(record), f"{record.created_at:%Y-%m-%d %H:%M}", revoked)
        table.add_row(*map(escape, words))
    Console().print(table)


def revoke_key(place: Place, key_id: str, *, as_json: bool) -> None:
    """Let nobody in with a key any more; a running manager heeds it at once. Raises `ClickException`, `StoreError`."""
    with key_ring(place) as ring:
        record = ring.revoke(key_id, datetime.now(UTC))
    if record is None:
        raise click.ClickException(f"There is no key {key_id}: look at `chatbot-erp keys list`.")
    words = f"Nobody gets in with key {key_id} any more."
    print(msgspec.json.encode(shown(record)).decode() if as_json else words)


def shown(record: ApiKey) -> dict[str, Any]:
    """A key for machines, without what opens with it."""
    return {field: getattr(record, field) for field in ("id", "label", "grant", "created_at", "revoked_at")}


def description(record: ApiKey) -> str:
    """What a key allows, in words."""
    scopes = ", ".join(sorted(record.grant.scopes))
    reach = "all instances" if record.grant.instances is None else ", ".join(sorted(record.grant.instances))
    return f"{scopes} · {reach}"


@contextmanager
def key_ring(place: Place, *, makes: bool = False) -> Iterator[KeyRing]:
    """The keys of a place. Where a directory has neither keys nor log, one that `makes` keys makes it a data directory.

    Raises `ClickException`.
    """
    if isinstance(place, Path):
        if makes:
            place.mkdir(mode=0o700, parents=True, exist_ok=True)
        elif not ((place / FILE).exists() or (place / database.FILE).exists()):
            raise click.ClickException(
                f"There are no keys in {place}. Say where the manager keeps them: --data-dir, or --database."
            )
    vault = open_vault(place)
    try:
        yield KeyRing(vault)
    finally:
        vault.close()
