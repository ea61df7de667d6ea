"""`chatbot-erp doctor`: looks at a machine and a data directory and says what will hurt. Changes nothing."""

import os
import re
import resource
import shutil
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from enum import StrEnum
from http.client import HTTPConnection, HTTPException
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

import msgspec
from filelock import FileLock, Timeout
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from chatbot_erp.actors.progress import progress
from chatbot_erp.eventstore.database import FILE, OLDEST_SQLITE
from chatbot_erp.eventstore.errors import StoreError
from chatbot_erp.eventstore.events import EVENT_NAMES, InstanceConnected, InstanceInvalidated, InstanceRemoved
from chatbot_erp.eventstore.places import Place, open_log

LIBRARY_PATIENCE_S = 60.0
PORT_PATIENCE_S = 2.0
LITTLE_DISK_BYTES = 1 << 30
NO_DISK_BYTES = 64 << 20
DESCRIPTORS_WANTED = 4096
SOUND_SQLITE = (3, 51, 3)
"""Older ones can reset a write-ahead log wrongly under two writing connections (sqlite.org/wal.html, section 11)."""

RECENT = 10_000
"""So many events of the log are looked at for what ails the numbers now."""

LIVES = tuple(EVENT_NAMES[kind] for kind in (InstanceConnected, InstanceInvalidated, InstanceRemoved))

NETWORK_FILE_SYSTEMS = frozenset({"nfs", "nfs4", "cifs", "smb3", "9p", "fuse.sshfs", "ceph", "glusterfs"})


class Health(StrEnum):
    """How bad it is."""

    WELL = "ok"
    DOUBTFUL = "warning"
    ILL = "failure"


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was looked at: what was seen, and what to do about it (empty where nothing is to be done)."""

    what: str
    health: Health
    seen: str
    advice: str = ""


def examine(data_dir: Path, database: str | None, host: str, port: int) -> Iterator[Finding]:
    """One finding after another; the library takes a few seconds to load."""
    yield python()
    yield from libraries()
    yield whatsapp_library()
    yield ffmpeg()
    yield descriptors()
    yield place(data_dir)
    yield disk(data_dir)
    yield manager(data_dir)
    yield listening(host, port)
    if database or (data_dir / FILE).exists():
        yield from log(database or data_dir)


def show_findings(data_dir: Path, *, database: str | None, host: str, port: int, as_json: bool) -> bool:
    """Print every finding; whether none is a failure."""
    marks = {Health.WELL: "[green]✓[/]", Health.DOUBTFUL: "[yellow]![/]", Health.ILL: "[red]✗[/]"}
    table = Table("", "what", "seen", "what to do", box=None)
    fine = True
    with progress("looking", hidden=as_json):
        for finding in examine(data_dir, database, host, port):
            fine = fine and finding.health is not Health.ILL
            if as_json:
                print(msgspec.json.encode(finding).decode())
            words = (finding.what, finding.seen, finding.advice)
            table.add_row(marks[finding.health], *(escape(text) for text in words))
    if not as_json:
        Console().print(table)
    return fine


def python() -> Finding:
    return Finding(what="Python", health=Health.WELL, seen=".".join(map(str, sys.version_info[:3])))


def libraries() -> Iterator[Finding]:
    """Every one that this program cannot do without, and the system's SQLite."""
    needed = [
        re.split(r"[^\w.-]", each, maxsplit=1)[0] for each in requires("chatbot-erp") or () if "extra ==" not in each
    ]
    for name in sorted(set(needed) - {"neonize"}):
        try:
            yield Finding(what=name, health=Health.WELL, seen=version(name))
        except PackageNotFoundError:
            yield Finding(
                what=name,
                health=Health.ILL,
                seen="missing",
                advice="Install this program again (docs/operations.md#upgrading).",
            )
    found = sqlite3.sqlite_version_info
    if found < OLDEST_SQLITE:
        wanted = ".".join(map(str, OLDEST_SQLITE))
        advice, health = f"Use a Python that is built with SQLite {wanted} or newer.", Health.ILL
    elif found < SOUND_SQLITE:
        advice, health = "Fine, as long as no other program writes to events.db.", Health.WELL
    else:
        advice, health = "", Health.WELL
    yield Finding(what="SQLite", health=health, seen=sqlite3.sqlite_version, advice=advice)


def whatsapp_library() -> Finding:
    """In a process of its own: the library can take down the one that loads it."""
    command = [sys.executable, "-c", "from chatbot_erp.actors.socket_host import neonize_sockets; neonize_sockets()"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=LIBRARY_PATIENCE_S, check=False)
    except subprocess.TimeoutExpired:
        return Finding(what="neonize", health=Health.ILL, seen="does not load", advice="See whether the machine swaps.")
    if done.returncode != 0:
        last = done.stderr.strip().rpartition("\n")[2]
        advice = f"pip install --force-reinstall neonize; it says: {last}"
        return Finding(what="neonize", health=Health.ILL, seen="does not load", advice=advice)
    return Finding(what="neonize", health=Health.WELL, seen=version("neonize"))


def ffmpeg() -> Finding:
    """Files go as they come, so nothing here runs it; who makes voice messages of other recordings will."""
    seen = "there" if shutil.which("ffmpeg") else "not there"
    return Finding(what="ffmpeg", health=Health.WELL, seen=seen, advice="Not needed: files are sent as they come.")


def descriptors() -> Finding:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < DESCRIPTORS_WANTED:
        advice = f"Allow {DESCRIPTORS_WANTED} or more (LimitNOFILE, ulimit -n) if there are many numbers."
        return Finding(what="open files", health=Health.DOUBTFUL, seen=str(soft), advice=advice)
    return Finding(what="open files", health=Health.WELL, seen=str(soft))


def place(data_dir: Path) -> Finding:
    """Who else can read the data directory, and on what kind of disk it is."""
    if not data_dir.is_dir():
        return Finding(what="data directory", health=Health.WELL, seen=f"{data_dir} is made at the first start")
    if stat.S_IMODE(data_dir.stat().st_mode) & 0o077:
        return Finding(
            what="data directory",
            health=Health.DOUBTFUL,
            seen="others can look into it",
            advice=f"chmod 700 {data_dir}: it holds sessions and keys.",
        )
    if not os.access(data_dir, os.W_OK):
        return Finding(what="data directory", health=Health.ILL, seen="cannot be written", advice="Change its owner.")
    kind = file_system(data_dir)
    if kind in NETWORK_FILE_SYSTEMS:
        advice = "Use a local disk: SQLite's write-ahead log does not work over a network."
        return Finding(what="data directory", health=Health.ILL, seen=f"on {kind}", advice=advice)
    return Finding(what="data directory", health=Health.WELL, seen=f"{data_dir} ({kind or 'unknown file system'})")


def file_system(path: Path, mounts: Path = Path("/proc/mounts")) -> str:
    """The kind of file system that `path` is on; empty where the system does not say."""
    try:
        lines = [line.split()[1:3] for line in mounts.read_text().splitlines()]
    except OSError:
        return ""
    where = str(path.resolve())
    fitting = [(len(at), kind) for at, kind in lines if where == at or where.startswith(at.rstrip("/") + "/")]
    return max(fitting, default=(0, ""))[1]


def disk(data_dir: Path) -> Finding:
    nearest = next(path for path in (data_dir.absolute(), *data_dir.absolute().parents) if path.exists())
    free = shutil.disk_usage(nearest).free
    seen = f"{free / (1 << 30):.1f} GiB free"
    if free < NO_DISK_BYTES:
        return Finding(
            what="disk", health=Health.ILL, seen=seen, advice="Make room: sends are refused when it is full."
        )
    if free < LITTLE_DISK_BYTES:
        return Finding(what="disk", health=Health.DOUBTFUL, seen=seen, advice="Make room before it is full.")
    return Finding(what="disk", health=Health.WELL, seen=seen)


def manager(data_dir: Path) -> Finding:
    lock = data_dir / "manager.lock"
    if not lock.exists():
        return Finding(what="manager", health=Health.WELL, seen="none runs here")
    try:
        with FileLock(lock, timeout=0):
            return Finding(what="manager", health=Health.WELL, seen="none runs here")
    except Timeout:
        return Finding(what="manager", health=Health.WELL, seen="one runs here")
    except OSError as ex:
        return Finding(what="manager", health=Health.DOUBTFUL, seen=str(ex), advice="Run as the manager's user.")


def listening(host: str, port: int) -> Finding:
    """Whether the port is free, or who has it."""
    what, here = f"port {port}", "127.0.0.1" if host in ("0.0.0.0", "::", "localhost") else host
    connection = HTTPConnection(here, port, timeout=PORT_PATIENCE_S)
    try:
        connection.request("GET", "/livez")
        answer = connection.getresponse().read(64)
    except ConnectionRefusedError:
        return Finding(what=what, health=Health.WELL, seen="free")
    except (OSError, HTTPException) as ex:
        answer = str(ex).encode()
    finally:
        connection.close()
    if answer == b'{"status":"alive"}':
        return Finding(what=what, health=Health.WELL, seen="a manager answers")
    advice = f"Choose another with --port, or end what listens on {here}:{port}."
    return Finding(what=what, health=Health.DOUBTFUL, seen="another program has it", advice=advice)


def log(place: Place, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> Iterator[Finding]:
    """Whether the log can be read, fits the clock, and tells of a library that WhatsApp does not want any more."""
    try:
        with open_log(place) as reader:
            if isinstance(place, Path):
                reader.must_have_its_keys(place)
            head = reader.head()
            last = reader.read(after=head - 1, limit=1)
            outdated: dict[str, bool] = {}
            for record in reader.read(after=max(0, head - RECENT), types=LIVES, limit=RECENT):
                match record.event:
                    case InstanceInvalidated(reason=reason):
                        outdated[record.stream] = reason == "client_outdated"
                    case _:
                        outdated[record.stream] = False
            erasures = reader.unfinished_erasures()
    except StoreError as ex:
        yield Finding(what="log", health=Health.ILL, seen=str(ex), advice=ex.action)
        return
    yield Finding(what="log", health=Health.WELL, seen=f"{head} events")
    if last and (ahead := (last[0].recorded_at - now()).total_seconds()) > 1:
        advice = "Set the clock (NTP): retries and signatures of webhooks go by it."
        yield Finding(what="clock", health=Health.ILL, seen=f"{ahead:.0f} s behind the log", advice=advice)
    else:
        yield Finding(what="clock", health=Health.WELL, seen=f"{now():%Y-%m-%d %H:%M:%S} UTC")
    if erasures:
        seen = f"{len(erasures)} not finished, the oldest of {erasures[0].at:%Y-%m-%d %H:%M}"
        advice = "A running manager goes on with it every ten minutes; its log says `erasure_stuck`, and why."
        if isinstance(place, str) and (uncleaned := sorted(set().union(*(each.uncleaned for each in erasures)))):
            advice += f" These nodes clean their machines as soon as they work: {', '.join(uncleaned)}."
        yield Finding(what="erasures", health=Health.DOUBTFUL, seen=seen, advice=advice)
    if not outdated:
        yield Finding(what="WhatsApp client", health=Health.WELL, seen="no number was connected of late")
    elif not any(outdated.values()):
        yield Finding(what="WhatsApp client", health=Health.WELL, seen="WhatsApp takes it")
    else:
        advice = (
            "Install a newer version (docs/operations.md#upgrading): WhatsApp refuses the one that neonize says it is."
        )
        yield Finding(what="WhatsApp client", health=Health.ILL, seen="outdated, says WhatsApp", advice=advice)
