"""The later part of a log, checked by another process while this one checks what comes before it."""

import subprocess
import sys
from contextlib import closing
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from chatbot_erp.eventstore.database import must_be_readable, open_at_rest, open_readable
from chatbot_erp.eventstore.lookups import Lookups, in_a_file
from chatbot_erp.eventstore.sql import asking
from chatbot_erp.eventstore.walk import Part, Walk


class Ahead:
    """The other process. Leaving the `with` ends it."""

    def __init__(self, path: Path, at_rest: bool, after: int, until: int) -> None:
        command = [sys.executable, "-P", "-m", "chatbot_erp.eventstore.ahead"]
        self._process = subprocess.Popen(
            [*command, str(path), "rest" if at_rest else "use", str(after), str(until)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )

    def part(self) -> Part | None:
        """What the part has in it, as soon as the other process knows; None where something in it does not fit."""
        said, _ = self._process.communicate()
        return msgspec.json.decode(said, type=Part) if self._process.returncode == 0 else None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, ex: BaseException | None, trace: TracebackType | None) -> None:
        with self._process as process:
            process.kill()


def main(path: str, state: str, after: str, until: str) -> None:
    """The other process: ends with an error where something does not fit, or where nobody waits for it any more."""
    file = Path(path)
    with closing(open_at_rest(file) if state == "rest" else open_readable(file)) as connection:
        ask = asking(connection)
        walk = Walk(ask, Lookups(ask, in_a_file(must_be_readable(connection))))
        part = walk.part(int(after), int(until), lambda *_: print(flush=True))
        print(msgspec.json.encode(part).decode())


if __name__ == "__main__":
    main(*sys.argv[1:])
