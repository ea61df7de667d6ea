"""Log lines that nobody takes."""

from typing import NoReturn

import pytest

from chatbot_erp.actors.logs import Forgiving


class Refusing:
    """A stream on a full disk, or into a closed pipe."""

    def __init__(self, ex: Exception) -> None:
        self._ex = ex

    def write(self, text: str) -> NoReturn:
        raise self._ex

    def flush(self) -> NoReturn:
        raise self._ex


@pytest.mark.parametrize("ex", [OSError(28, "No space left"), BrokenPipeError(), ValueError("closed file")])
def test_nobody_fails_for_a_line_that_cannot_be_written(ex: Exception) -> None:
    stream = Forgiving(Refusing(ex))  # type: ignore[arg-type]
    stream.write("a line\n")
    stream.flush()
