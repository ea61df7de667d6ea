"""`chatbot-erp events`, `replay` and `verify`: reading a log, of a running or a stopped manager. They change nothing."""

import os
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import msgspec

from chatbot_erp.actors.progress import progress
from chatbot_erp.actors.rebuild import Past, past
from chatbot_erp.eventstore.checkpoints import Checkpoint
from chatbot_erp.eventstore.errors import StoreError
from chatbot_erp.eventstore.events import EVENT_NAMES, MessageSent
from chatbot_erp.eventstore.log_reader import LogReader
from chatbot_erp.eventstore.places import Place, move, open_log, verify
from chatbot_erp.eventstore.records import Recorded

PAGE = 1000
FOLLOW_EVERY_S = 0.5

INTERRUPTED, UNHEARD = 130, 141
"""What a shell gives for SIGINT and SIGPIPE."""

to_json = msgspec.json.Encoder().encode


def show_events(
    place: Place,
    *,
    instance: str | None,
    types: tuple[str, ...],
    since: datetime | None,
    until: datetime | None,
    message_id: str | None,
    after: int,
    limit: int | None,
    follow: bool,
    as_json: bool,
) -> None:
    """Print the events that match all conditions, a line each. Raises `click.UsageError`, `StoreError`."""
    if unknown := set(types) - set(EVENT_NAMES.values()):
        raise click.UsageError(f"There is no event type {', '.join(sorted(unknown))}.")
    shown = 0
    with open_log(place, follow=follow) as log:
        stream = stream_of(log, instance) if instance else None
        names = names_of(log, stream, message_id) if message_id else set()
        # One that is sent while it is followed is told of by another name from then on.
        sought = (*types, EVENT_NAMES[MessageSent]) if types and message_id and follow else types
        for record in records(log, stream, sought, after=after, follow=follow):
            if since and record.recorded_at < since:
                continue
            if until and record.recorded_at > until:
                continue
            if message_id and not speaks_of(record, names):
                continue
            names |= names_in(record) if message_id else set()
            if types and record.type not in types:
                continue
            print(line(record, as_json), flush=follow)
            shown += 1
            if limit is not None and shown >= limit:
                return


def show_replay(place: Place, name: str, *, at: int | datetime | None, follow: bool, as_json: bool) -> None:
    """Print the instance and its messages as they were at a position or moment; then, with `follow`, each change."""
    with open_log(place, follow=follow) as log:
        stream = stream_of(log, name)
        until, when = (at, None) if isinstance(at, int) else (None, at)
        with progress("looking back", hidden=as_json) as done:
            then = past(log, stream, until=until, at=when, progress=done)
        if then.state is None:
            raise click.ClickException(f"{name} did not exist yet.")
        print_replay(stream, then, as_json)
        if not follow:
            return
        for record in records(log, stream, (), after=then.position, follow=True):
            then.take(record)
            status = getattr(then.state, "status", "removed")
            print(line(record, as_json) if as_json else f"{line(record, False)}  → {status}", flush=True)


def show_verdict(place: Place, *, checkpoint: Path | None, keep: Path | None, as_json: bool) -> bool:
    """Check the whole log and print what was found; whether it is whole. `keep` gets its newest checkpoint."""
    kept = [kept_checkpoint(checkpoint)] if checkpoint else []
    with progress("checking", hidden=as_json) as done:
        report = verify(place, kept=kept, progress=done)
    if keep and report.checkpoint and report.problem is None:
        try:
            keep.write_bytes(to_json(report.checkpoint))
        except OSError as ex:
            raise click.ClickException(f"The checkpoint cannot be written to {keep}: {ex.strerror}.") from ex
    if as_json:
        print(to_json(report).decode())
    elif report.problem is None:
        print(f"The log is whole: {report.events} events in {report.streams} streams, hash {report.hash}.")
        print(
            "Each has the hash of its content and of the one before it, and its place in its stream; none is missing."
        )
        print(f"{report.checkpoints} checkpoints signed by {', '.join(report.keys) or 'nobody'} agree with it.")
        if kept:
            print(f"So does the one of {checkpoint}: up to position {kept[0].position} it is the log of that day.")
    elif report.position is None:
        print(f"The log is not as it was: {report.problem}")
    else:
        print(f"Position {report.position} does not fit: {report.problem}")
    return report.problem is None


def kept_checkpoint(path: Path) -> Checkpoint:
    """What `--keep` once wrote. Raises `click.ClickException`."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Checkpoint)
    except OSError as ex:
        raise click.ClickException(f"{path} cannot be read: {ex.strerror}.") from ex
    except (msgspec.MsgspecError, UnicodeDecodeError) as ex:
        raise click.ClickException(f"{path} is no checkpoint as `verify --keep` writes one.") from ex


def move_log(directory: Path, database: str, *, as_json: bool) -> None:
    """Move a log into a database and print what is there then. Raises `StoreError`."""
    with progress("moving", hidden=as_json) as done:
        report = move(directory, database, done)
    if as_json:
        print(to_json(report).decode())
        return
    print(f"The log is in the database, whole: {report.events} events in {report.streams} streams, hash {report.hash}.")
    print(f"Go on with: chatbot-erp serve --data-dir {directory} --database URL")
    print(
        f"The old log and all its keys are still in {directory}: what is erased from now on can be read there. When you are"
        f" sure, remove them: cd {directory} && shred -u events.db* keys.db*"
    )


def names_of(log: LogReader, stream: str | None, message_id: str) -> set[str]:
    """The id of a message and that of the command which sent it, given either: what is before its sending has the latter."""
    names = {message_id}
    for record in records(log, stream, (EVENT_NAMES[MessageSent],)):
        if speaks_of(record, {message_id}):
            names |= names_in(record)
    return names


def names_in(record: Recorded) -> set[str]:
    """Both ids of a message, where the event is its sending."""
    if record.type != EVENT_NAMES[MessageSent]:
        return set()
    data = msgspec.json.decode(record.data)
    return {data["messageId"], data["commandId"]} - {""}


def speaks_of(record: Recorded, names: set[str]) -> bool:
    """Whether an event has to do with a message that goes by these ids: its own, its command's, or an edit's."""
    octets = bytes(record.data)
    if not any(name.encode() in octets for name in names):
        return False  # most have not, and decoding costs more
    data = msgspec.json.decode(octets)
    return not names.isdisjoint((data.get("messageId"), data.get("commandId"), data.get("editId")))


def stream_of(log: LogReader, name: str) -> str:
    """The last instance of this name, or the name as an id. Raises `click.ClickException`."""
    found = log.streams_named(name)
    if found:
        return found[0]
    if log.read(stream=name, limit=1):
        return name
    raise click.ClickException(f"The log knows no instance named {name}.")


def records(
    log: LogReader,
    stream: str | None,
    types: tuple[str, ...],
    *,
    after: int = 0,
    follow: bool = False,
) -> Iterator[Recorded]:
    """What matches, page by page; with `follow` also what is still to come, until the caller has enough."""
    while True:
        page = log.read(after=after, limit=PAGE, stream=stream, types=types)
        yield from page
        if page:
            after = page[-1].position
        elif follow:
            time.sleep(FOLLOW_EVERY_S)
        else:
            return


def line(record: Recorded, as_json: bool) -> str:
    """One event, for machines or for people."""
    if as_json:
        return to_json(as_object(record)).decode()
    said = msgspec.json.decode(record.data).items()
    detail = " ".join(f"{key}={short(value)}" for key, value in said if value or type(value) is int)
    return f"{record.position:>8}  {record.recorded_at:%Y-%m-%d %H:%M:%S.%f}  {record.type:<26} {detail}"


def as_object(record: Recorded) -> dict[str, Any]:
    """An event in the words of `GET /events`."""
    return {
        "position": record.position,
        "stream": record.stream,
        "version": record.version,
        "id": record.id,
        "type": record.type,
        "data": record.data,
        "recordedAt": record.recorded_at,
        "sequence": record.sequence,
        "hash": record.hash,
    }


def short(value: Any) -> str:
    """For a terminal and one line of it: what people wrote can neither steer the one nor end the other."""
    text = value if isinstance(value, str) else to_json(value).decode()
    text = text if len(text) <= 60 else f"{text[:57]}…"
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


def print_replay(stream: str, then: Past, as_json: bool) -> None:
    """The state and the messages, for machines or for people."""
    state: Any = then.state
    found = {"id": stream, "position": then.position, "state": state, "messages": then.fates.all()}
    if as_json:
        print(to_json(found).decode())
        return
    print(f"{state.name} ({stream}) after position {then.position}")
    for field in state.__struct_fields__:
        if field != "name":
            print(f"  {field:<14} {short(getattr(state, field))}")
    for message in then.fates.all():
        ids = message.message_id or message.command_id
        who, why = short(message.jid), short(message.reason or "")
        print(f"  {message.at:%Y-%m-%d %H:%M:%S}  {short(ids)}  {who:<32} {message.fate}  {why}")


def moment(text: str) -> datetime:
    """ISO 8601; UTC where it has no offset. Raises `ValueError`."""
    at = datetime.fromisoformat(text)
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def reporting(run: Callable[[], Any], *, shows: bool = False, follow: bool = False) -> Any:
    """Run a command and turn a broken or missing log into one line for people.

    Cut short it ends the process: with 130 by Ctrl-C, or 0 where it would `follow` until then; with 141 where nobody
    reads what it says, or 0 where it only `shows` something, of which somebody has seen enough.
    """
    try:
        done = run()
        sys.stdout.flush()
        return done
    except StoreError as ex:
        raise click.ClickException(f"{ex} {ex.action}") from ex
    except KeyboardInterrupt:
        sys.exit(0 if follow else INTERRUPTED)
    except BrokenPipeError:
        # Else the interpreter fails at its end, when it says what is left.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0 if shows else UNHEARD)
