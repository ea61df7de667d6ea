"""Words that no manager confirmed, on disk: what a socket host leaves behind when its manager is gone.

A spool file is a row of records (length, checksum, the frame of one `Said`). It gets its name after it is on disk; what
a host had no time to finish gets it when that host has ended, and is read as far as its records are whole. It is
written over room that was kept for it, as the disk may be full by then.
"""

import os
import zlib
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from struct import Struct

import msgspec

from chatbot_erp.actors.frames import Said, decode_word, encode_frame
from chatbot_erp.eventstore.database import sync_directory

_RECORD = Struct(">II")

WHOLE, PART, ROOM, DRAFT = ".spool", ".part", ".room", ".new"
"""How the names of spools end: of one that is written, of one that may still be, by a host that lives, of room for one, and
of what is to stand instead of one."""

ROOM_BYTES = 4 << 20
"""Some 5,000 messages."""


class Strange(msgspec.Struct, frozen=True):
    """The frame of a word that this version of the program cannot read."""

    frame: bytes


class Spool(msgspec.Struct, frozen=True, kw_only=True):
    """What one dead host left behind. `damage` says what could not be read, if anything; `torn` is an unfinished end."""

    path: Path
    records: tuple[Said | Strange, ...]
    torn: bytes

    @property
    def words(self) -> tuple[Said, ...]:
        return tuple(each for each in self.records if isinstance(each, Said))

    @property
    def damage(self) -> str | None:
        if self.torn:
            return f"{len(self.torn)} bytes are torn, after {len(self.records)} words"
        if not self.records:
            return "the disk took none of its words"
        strange = len(self.records) - len(self.words)
        return f"{strange} words are of another version of this program" if strange else None

    def remove(self) -> None:
        """Call it when the words are committed."""
        self.path.unlink(missing_ok=True)

    def park(self) -> Path:
        """Instead of `remove`, where it is damaged: keep it where nobody reads it again, for a person to look at."""
        parked = self.path.parent.parent / "parked"
        parked.mkdir(mode=0o700, exist_ok=True)
        return self.path.replace(parked / self.path.name)


def keep_room(directory: Path, name: str) -> None:
    """Have disk for a spool of this name, however full it is later. Raises `OSError` where there is none."""
    room = _path(directory, name, ROOM)
    room.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(room, os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        os.posix_fallocate(descriptor, 0, ROOM_BYTES)
    except OSError:
        room.unlink()
        raise
    finally:
        os.close(descriptor)


def give_room(directory: Path, name: str) -> None:
    """No spool of this name is needed."""
    _path(directory, name, ROOM).unlink(missing_ok=True)


def write_spool(directory: Path, name: str, words: Iterable[Said]) -> Path:
    """Write the words, in order, so that they outlive this process and this machine. `directory` holds all our data."""
    return write_packed(directory, name, packed(words))


def packed(records: Iterable[Said | Strange]) -> bytes:
    """What a spool file with these words holds."""
    frames = (each.frame if isinstance(each, Strange) else encode_frame(each) for each in records)
    return b"".join(_RECORD.pack(len(frame), zlib.crc32(frame)) + frame for frame in frames)


def write_packed(directory: Path, name: str, content: bytes, *, written_ns: int | None = None) -> Path:
    """As `write_spool`, of words that are packed already, and that others wrote at `written_ns`: its place is where that was."""
    path, part = _path(directory, name, WHOLE), _path(directory, name, PART)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with suppress(FileNotFoundError):
        _path(directory, name, ROOM).replace(part)
    _write(part, content)
    if written_ns is not None:
        os.utime(part, ns=(written_ns, written_ns))
    part.replace(path)
    sync_directory(path.parent)
    return path


def drop_unfinished(directory: Path, name: str) -> None:
    """A spool of this name could not be written, and is not tried again."""
    _path(directory, name, PART).unlink(missing_ok=True)


def unfinished_spools(directory: Path, host: str = "") -> list[Path]:
    """What this host, or any, has not finished."""
    return list((directory / "spool").glob(f"{host}*{PART}"))


def close_spool(part: Path) -> None:
    """It stands as it is from now on. Call it when the host has ended that was writing it."""
    with suppress(FileNotFoundError):  # it was finished at the last moment
        part.rename(part.with_suffix(WHOLE))


def close_spools(directory: Path, host: str = "") -> None:
    """What this host, or any, had no time to finish stands as it is from now on. Call it when they have ended."""
    for part in unfinished_spools(directory, host):
        close_spool(part)
    for room in (directory / "spool").glob(f"{host}*{ROOM}"):
        room.unlink()


def rewrite_spool(spool: Spool, records: Iterable[Said | Strange], torn: bytes) -> None:
    """Put something else into a spool that is there, at its place among the others; one with nothing in it is removed."""
    content = packed(records) + torn
    if not content:
        spool.remove()
        return
    draft = spool.path.with_suffix(DRAFT)
    seen = spool.path.stat()
    _write(draft, content)
    os.utime(draft, ns=(seen.st_atime_ns, seen.st_mtime_ns))
    draft.replace(spool.path)
    sync_directory(spool.path.parent)


def drop_drafts(directory: Path) -> None:
    """Of a life that ended in `rewrite_spool`: the spool is as it was, and may be read and gone before it is rewritten again."""
    for draft in (directory / "spool").glob(f"*{DRAFT}"):
        draft.unlink(missing_ok=True)


def read_spools(directory: Path, host: str = "") -> Iterator[Spool]:
    """What is there, or what this host left, oldest first; without what a host may still be writing."""
    found = (directory / "spool").glob(f"{host}*{WHOLE}")
    for path in sorted(found, key=lambda path: (path.stat().st_mtime_ns, path.name)):
        records, torn = unpacked(path.read_bytes())
        yield Spool(path=path, records=records, torn=torn)


def _path(directory: Path, name: str, kind: str) -> Path:
    return directory / "spool" / f"{name}{kind}"


def _write(path: Path, content: bytes) -> None:
    """Over what is there, and not into a file that is emptied first: that would give its room away."""
    with open(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "wb") as file:
        file.write(content)
        file.truncate()
        os.fsync(file.fileno())


def unpacked(content: bytes) -> tuple[tuple[Said | Strange, ...], bytes]:
    """What `packed` made, and an end that is torn."""
    records: list[Said | Strange] = []
    place = 0
    while (frame := _record_at(content, place)) is not None:
        try:
            word = decode_word(frame)
        except msgspec.MsgspecError:
            records.append(Strange(frame))
        else:
            if isinstance(word, Said):
                records.append(word)
        place += _RECORD.size + len(frame)
    return tuple(records), content[place:]


def _record_at(content: bytes, place: int) -> bytes | None:
    if place + _RECORD.size > len(content):
        return None
    length, checksum = _RECORD.unpack_from(content, place)
    if length == 0:  # room that nothing was written to
        return None
    frame = content[place + _RECORD.size : place + _RECORD.size + length]
    return frame if len(frame) == length and zlib.crc32(frame) == checksum else None
