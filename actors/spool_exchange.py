"""What a node had in hand when it was superseded reaches the one that works by way of the database they share."""

import os
from pathlib import Path
from typing import Protocol

from chatbot_erp.actors.spool import WHOLE

KIND = "spool"


class Vault(Protocol):
    """The part of the vault that is needed. Every method may raise a `StoreError`."""

    def put(self, kind: str, owner: str, secret: bytes, /) -> None: ...
    def all(self, kind: str, /) -> dict[str, bytes]: ...
    def delete(self, kind: str, owner: str, /) -> bool: ...


def whole(directory: Path) -> frozenset[str]:
    """The names of the spools of `directory` that are written to their end."""
    return frozenset(path.name for path in (directory / "spool").glob(f"*{WHOLE}"))


def hand_over(directory: Path, vault: Vault) -> None:
    """Put the whole spools of `directory` where `take_over` finds them. It can be repeated; raises also OSError.

    Not beside somebody who reads them.
    """
    for path in sorted((directory / "spool").glob(f"*{WHOLE}")):
        vault.put(KIND, path.name, path.read_bytes())
        path.unlink()


def take_over(directory: Path, vault: Vault) -> int:
    """Make spools of `directory` of what was handed over; how many. It can be repeated; raises also OSError."""
    handed_over = vault.all(KIND)
    spools = directory / "spool"
    for name, content in handed_over.items():
        spools.mkdir(mode=0o700, exist_ok=True)
        part = spools / f"{Path(name).name}.taken"
        with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(part.with_suffix(""))
        vault.delete(KIND, name)
    return len(handed_over)
