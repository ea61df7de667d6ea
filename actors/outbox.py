"""Files on their way out: each waits under the id of the command that sends it, until that has a verdict."""

import hashlib
import os
from collections.abc import Collection, Iterable
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

import msgspec

from chatbot_erp.actors.config import Config
from chatbot_erp.actors.errors import MediaTooLarge, Unavailable
from chatbot_erp.actors.requests import command_id

FORGOTTEN_AFTER = timedelta(hours=1)
"""By then a file has come and its message is on record, or it was refused."""


class Parcel(msgspec.Struct, frozen=True, kw_only=True):
    """A file in the outbox. `id` becomes its command's; `sha256` in hex; type and name as the caller gave them."""

    id: str
    size: int
    sha256: str
    mime_type: str
    name: str


class Outbox:
    """`data/outbox/<command id>`. Any thread may call it."""

    def __init__(self, config: Config) -> None:
        self._directory = config.data_dir / "outbox"
        self._most = config.media_max_bytes

    def take(self, pieces: Iterable[bytes], *, mime_type: str = "", name: str = "") -> Parcel:
        """Write a file. Raises `MediaTooLarge`, `Unavailable` (the disk), and what `pieces` raises; then there is none."""
        id_ = command_id()
        checksum, size = hashlib.sha256(), 0
        try:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            with open(os.open(self.path(id_), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                for piece in pieces:
                    size += len(piece)
                    if size > self._most:
                        raise MediaTooLarge(f"The file has more than {self._most} bytes.")
                    checksum.update(piece)
                    file.write(piece)
        except OSError as ex:
            self.remove(id_)
            raise Unavailable(f"The file could not be kept: {ex.strerror}.") from ex
        except BaseException:
            self.remove(id_)
            raise
        return Parcel(id=id_, size=size, sha256=checksum.hexdigest(), mime_type=mime_type, name=name)

    def path(self, command_id: str) -> Path:
        """Where the file of a command is, if it has one."""
        return self._directory / command_id

    def remove(self, command_id: str) -> None:
        """The command has its verdict, or will never be carried out. What the disk does not let go is left to `tidy`."""
        with suppress(OSError):
            os.unlink(self.path(command_id))

    def tidy(self, now: datetime, pending: Collection[str]) -> None:
        """Erase what nobody sends any more: a caller had given up, and its message was then refused.

        `pending` are the ids of the commands that still wait for their verdict, for however long.
        """
        for path in self._directory.glob("*"):
            with suppress(FileNotFoundError):
                if path.name not in pending and path.stat().st_mtime < (now - FORGOTTEN_AFTER).timestamp():
                    os.unlink(path)

    def empty(self) -> None:
        """Erase everything: at a start, when no command of the last life will be carried out."""
        for path in self._directory.glob("*"):
            path.unlink(missing_ok=True)
