"""Files of messages in the data directory: some that are kept for a time, some only while they are handed on."""

import hashlib
import os
import shutil
from collections.abc import Collection
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

from chatbot_erp.actors.config import Config
from chatbot_erp.actors.media_specs import Media

UNFINISHED = ".part"
FORGOTTEN_AFTER = timedelta(hours=1)
"""No download takes so long: an unfinished file of that age is nobody's."""


class MediaFiles:
    """`data/media/<instance>/<name>`; the name is made of what the file is checked against. Any thread may call.

    A file that is fetched ahead has at most `most_ahead` bytes; any leaves `spare` bytes of the disk free.
    """

    def __init__(self, config: Config) -> None:
        self._directory = config.data_dir / "media"
        keep_days = config.media_keep_days
        if config.content_keep_days:  # what is said in a file expires with what is said in words
            keep_days = min(keep_days, config.content_keep_days)
        self._kept_for = timedelta(days=keep_days)
        self._words_kept_for = timedelta(days=config.content_keep_days)
        self.most_ahead = config.media_keep_max_bytes
        self.spare = config.disk_spare_bytes

    @property
    def keeps(self) -> bool:
        """Whether files are kept at all."""
        return self._kept_for > timedelta()

    def new(self, instance: str) -> Path:
        """Where a download can be written."""
        directory = self._directory / instance
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        return directory / f"{uuid4()}{UNFINISHED}"

    def place(self, instance: str, media: Media) -> Path:
        """Where it is, if it is kept."""
        identity = b"\0".join((media.key, media.encrypted_sha256, media.sha256, media.path.encode()))
        return self._directory / instance / hashlib.sha256(identity).hexdigest()

    def has(self, instance: str, media: Media) -> bool:
        """Whether it is kept."""
        return self.place(instance, media).exists()

    def open(self, instance: str, media: Media) -> BinaryIO | None:
        """The kept file, or None."""
        try:
            return self.place(instance, media).open("rb")
        except FileNotFoundError:
            return None

    def any(self) -> bool:
        """Whether there is any file at all."""
        return next(self._directory.glob("*/*"), None) is not None

    def drop(self, instance: str, media: Media) -> None:
        """Erase the kept file, if there is one."""
        self.place(instance, media).unlink(missing_ok=True)

    def keep(self, instance: str, media: Media, download: Path) -> None:
        """What was downloaded is kept from now on."""
        with suppress(FileNotFoundError):
            download.replace(self.place(instance, media))

    def take(self, instance: str, media: Media, download: Path, said_at: datetime) -> BinaryIO:
        """What was downloaded, to read; where nothing is kept, its name is gone already and its bytes are when it is closed.

        However late that is, it is kept no longer than the words that were said with it, at `said_at`.
        """
        file = download.open("rb")
        if self.keeps:
            if self._words_kept_for:
                latest = (said_at + self._words_kept_for - self._kept_for).timestamp()
                at = min(latest, download.stat().st_mtime)
                os.utime(download, (at, at))
            self.keep(instance, media, download)
        else:
            download.unlink()
        return file

    def tidy(self, now: datetime, instances: Collection[str]) -> None:
        """Erase what is too old, what was never finished, and what belonged to instances that are no more."""
        for directory in self._directory.glob("*"):
            if directory.name not in instances:
                shutil.rmtree(directory, ignore_errors=True)
                continue
            for path in directory.iterdir():
                limit = FORGOTTEN_AFTER if path.suffix == UNFINISHED else self._kept_for
                with suppress(FileNotFoundError):
                    if path.stat().st_mtime < (now - limit).timestamp():
                        os.unlink(path)
