"""What files beside the log say of somebody, and how it is taken out of them. `directory` holds all our data.

Forms are the ways in which a number or LID is written, without the server. Functions raise `OSError`, and can be repeated.
"""

import os
import re
from collections.abc import Collection
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from chatbot_erp.actors.frames import Said
from chatbot_erp.actors.spool import Strange, drop_drafts, read_spools, rewrite_spool
from chatbot_erp.eventstore.addresses import canonical


def drop_parked(path: Path, forms: Collection[str]) -> None:
    """Remove what was parked, where it mentions one of the forms."""
    with suppress(FileNotFoundError):
        if _mention(forms).search(path.read_bytes()):
            path.unlink()


def drop_parked_before(directory: Path, moment: datetime) -> None:
    """Remove what was parked longer ago. Raises `OSError` for what stays, when all else is removed."""
    refusals = []
    for path in (directory / "parked").glob("*"):
        try:
            if path.stat().st_mtime < moment.timestamp():
                path.unlink()
        except FileNotFoundError:
            continue
        except OSError as ex:
            refusals.append(str(ex))
    if refusals:
        raise OSError("; ".join(refusals))


Words = tuple[tuple[Said | Strange, ...], bytes]
"""Of a spool: its records, and its torn end."""


def without(words: Words, addresses: Collection[str], forms: Collection[str]) -> Words:
    """What is left of a spool without what came from, or went to, one of the canonical addresses.

    What cannot be read of it stays where it holds none of the forms, not even within a longer number: in a frame a
    text may begin right behind a digit.
    """
    records, torn = words
    wanted = [form.encode() for form in forms]

    def holds_one(unread: bytes) -> bool:
        return any(form in unread for form in wanted)

    kept = tuple(
        each
        for each in records
        if not (holds_one(each.frame) if isinstance(each, Strange) else _concerns(each, addresses))
    )
    return kept, b"" if holds_one(torn) else torn


def drop_spooled(directory: Path, addresses: Collection[str], forms: Collection[str]) -> None:
    """Take out of the spools what is of these addresses: it is not in the log yet."""
    drop_drafts(directory)
    for spool in read_spools(directory):
        words = (spool.records, spool.torn)
        if (kept := without(words, addresses, forms)) != words:
            rewrite_spool(spool, *kept)


def blank_last_words(path: Path, forms: Collection[str]) -> None:
    """Overwrite the forms where a socket host quoted them in its log. One that is still writing is not disturbed."""
    with suppress(FileNotFoundError):
        if found := list(_mention(forms).finditer(path.read_bytes())):
            with path.open("rb+") as file:
                for each in found:
                    os.pwrite(file.fileno(), b"x" * len(each[0]), each.start())


def _mention(forms: Collection[str]) -> re.Pattern[bytes]:
    """One of the forms as it stands in a text: no part of a longer number, but perhaps behind zeros or an escape."""
    start = rb"(?:(?<![0-9])|(?<=\\x[0-9a-f]{2})|(?<=\\u[0-9a-f]{4})|(?<=\\U[0-9a-f]{8})|(?<=%[0-9A-Fa-f]{2}))"
    return re.compile(start + b"0{0,2}(?:" + b"|".join(re.escape(form.encode()) for form in forms) + b")(?![0-9])")


def _concerns(said: Said, addresses: Collection[str]) -> bool:
    names = (getattr(said.observation, field, None) for field in ("jid", "jid_alt", "participant", "by", "to"))
    return any(canonical(name) in addresses for name in names if name)
