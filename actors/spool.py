"""Words that no manager confirmed, on disk: what a socket host leaves behind when its manager is gone.

A spool file is a row of records (length, checksum, the frame of one `Said`). It gets its name after it is on disk; what
a host had no time to finish gets it when that host has ended, and is read as far as its records are whole.
"""

import os
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from struct import Struct

import msgspec

from chatbot_erp.actors.frames import Said, decode_word, encode_frame

_RECORD = Struct(">II")

WHOLE, PART = ".spool", ".part"
"""How the names of spools end: of one that is written, and of one that may still be, by a host that lives."""


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


def write_spool(directory: Path, name: str, words: Iterable[Said]) -> Path:
    """Write the words, in order, so that they outlive this process and this machine. `directory` holds all our data."""
    return write_packed(directory, name, packed(words))


def packed(records: Iterable[Said | Strange]) -> bytes:
    """What a spool file with these words holds."""
    frames = (each.frame if isinstance(each, Strange) else encode_frame(each) for each in records)
    return b"".join(_RECORD.pack(len(frame), zlib.crc32(frame)) + frame for frame in frames)


def write_packed(directory: Path, name: str, content: bytes) -> Path:
    """As `write_spool`, of words that are packed already."""
    spools = directory / "spool"
    spools.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = spools / f"{name}{WHOLE}"
    part = path.with_suffix(PART)
    _write(part, content)
    part.replace(path)
    _sync_directory(spools)
    return path


def close_spools(directory: Path, host: str = "") -> None:
    """What this host, or any, had no time to finish stands as it is from now on. Call it when they have ended."""
    for part in (directory / "spool").glob(f"{host}*{PART}"):
        part.rename(part.with_suffix(WHOLE))


def rewrite_spool(spool: Spool, records: Iterable[Said | Strange], torn: bytes) -> None:
    """Put something else into a spool that is there, at its place among the others."""
    draft = spool.path.with_suffix(".new")
    seen = spool.path.stat()
    _write(draft, packed(records) + torn)
    os.utime(draft, ns=(seen.st_atime_ns, seen.st_mtime_ns))
    draft.replace(spool.path)
    _sync_directory(spool.path.parent)


def read_spools(directory: Path, host: str = "") -> Iterator[Spool]:
    """What is there, or what this host left, oldest first; without what a host may still be writing."""
    found = (directory / "spool").glob(f"{host}*{WHOLE}")
    for path in sorted(found, key=lambda path: (path.stat().st_mtime_ns, path.name)):
        records, torn = unpacked(path.read_bytes())
        yield Spool(path=path, records=records, torn=torn)


def _write(path: Path, content: bytes) -> None:
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(content)
        file.flush()
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
    frame = content[place + _RECORD.size : place + _RECORD.size + length]
    return frame if len(frame) == length and zlib.crc32(frame) == checksum else None


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
