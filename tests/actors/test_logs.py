"""Log lines that nobody takes, and those that a machine reads."""

import json
import subprocess
import sys
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


LINES = """
import logging, structlog
from chatbot_erp.actors.logs import configure_logs
configure_logs()
structlog.get_logger().info("ours", action="tried", request_id="r")
logging.getLogger("library").warning("theirs: %s", "late")
try:
    1 / 0
except ZeroDivisionError:
    logging.getLogger("library").exception("broken")
"""


def test_every_line_is_json_whoever_wrote_it() -> None:
    done = subprocess.run([sys.executable, "-c", LINES], capture_output=True, text=True, check=True)
    ours, theirs, broken = [json.loads(line) for line in done.stderr.splitlines()]
    assert (ours["event"], ours["action"], ours["request_id"], ours["level"]) == ("ours", "tried", "r", "info")
    assert (theirs["event"], theirs["logger"], theirs["level"]) == ("theirs: late", "library", "warning")
    assert "ZeroDivisionError" in broken["exception"]
    assert {"timestamp"} <= ours.keys() & theirs.keys()
