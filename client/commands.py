"""`chatbot-erp instances`, `send` and `qr`: a running manager, asked from a terminal."""

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from io import StringIO
from typing import TypeVar

import click
import msgspec
import segno
from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from chatbot_erp.client.api import Client, ClientError, Refused
from chatbot_erp.client.shapes import Instance, Summary

T = TypeVar("T")

LOOK_EVERY_S = 0.5
MOVE_LOOKS = 20
"""So often a number is looked for that is on its way from one node to another."""
INTERRUPTED = 130
LINKING, LINKED = ("INITIALIZING", "SCAN_QR_CODE"), ("CONNECTED", "DEGRADED")
COLOURS = {"CONNECTED": "green", "DEGRADED": "yellow", "INVALID": "red", "DISCONNECTED": "red"}


def asking(run: Callable[[], T]) -> T:
    """Run a command; what the manager refuses is one line for people, and Ctrl-C ends it with 130."""
    try:
        return run()
    except ClientError as ex:
        raise click.ClickException(str(ex)) from ex
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


def show_instances(client: Client, *, as_json: bool) -> None:
    """Print every instance and how it is. Raises `ClientError`."""
    instances = list(_still_there(client, client.instances()))
    if as_json:
        for each in instances:
            shown = {key: value for key, value in msgspec.to_builtins(each).items() if not key.startswith("qr")}
            print(msgspec.json.encode(shown).decode())
        return
    table = Table("name", "status", "since", "number", "restarts", box=None)
    for each in instances:
        colour = COLOURS.get(each.status, "default")
        status = f"[{colour}]{escape(each.status)}[/]" + (f" {escape(each.reason)}" if each.reason else "")
        number = each.user.jid.partition("@")[0].partition(":")[0] if each.user else ""
        table.add_row(each.name, status, f"{each.since:%Y-%m-%d %H:%M:%S}", number, str(each.restarts))
    Console().print(table)


def _still_there(client: Client, summaries: Iterable[Summary]) -> Iterator[Instance]:
    """All that is known of each; one that was removed since it was listed is left out."""
    for each in summaries:
        try:
            yield _look_for(client, each.name)
        except Refused as ex:
            if ex.problem.status != 404:
                raise


def _look_for(client: Client, name: str) -> Instance:
    """An instance, also where it has just gone to another node."""
    for _ in range(MOVE_LOOKS):
        try:
            return client.instance(name)
        except Refused as ex:
            if ex.problem.type.rpartition("/")[2] != "no-node":
                raise
        time.sleep(LOOK_EVERY_S)
    return client.instance(name)


def send_text(client: Client, name: str, number: str, text: str, *, idempotency_key: str | None, as_json: bool) -> None:
    """Send a text and print what WhatsApp's server said. Raises `ClientError`."""
    sent = client.send_text(name, number, text, idempotency_key=idempotency_key)
    print(msgspec.json.encode(sent).decode() if as_json else f"{sent.message_id} is on its way to {sent.jid}.")


def show_qr(client: Client, name: str, *, as_json: bool) -> bool:
    """Show an instance's code, each new one in place of the last, until it is linked. Whether it is.

    For machines each change is a line, with the code to be drawn. Raises `ClientError`.
    """
    if as_json:
        return _tell_qr(client, name)
    with Live(console=Console(), transient=True, auto_refresh=False) as screen:
        while (instance := _look_for(client, name)).status in LINKING:
            screen.update(_picture(instance), refresh=True)
            time.sleep(LOOK_EVERY_S)
    user = f" as {instance.user.jid}" if instance.user else ""
    print(f"{name} is {instance.status}{user}{f' ({instance.reason})' if instance.reason else ''}.")
    return instance.status in LINKED


def _tell_qr(client: Client, name: str) -> bool:
    last = None
    while True:
        instance = _look_for(client, name)
        if (now := (instance.status, instance.qr)) != last:
            print(msgspec.json.encode(instance).decode(), flush=True)
            last = now
        if instance.status not in LINKING:
            return instance.status in LINKED
        time.sleep(LOOK_EVERY_S)


def _picture(instance: Instance) -> Text:
    if instance.qr is None:
        return Text("Waiting for a code …")
    drawn = StringIO()
    segno.make_qr(instance.qr).terminal(drawn, compact=True)
    drawn.write("Scan it with WhatsApp: Linked devices → Link a device. Ctrl-C ends.")
    return Text.from_ansi(drawn.getvalue())
