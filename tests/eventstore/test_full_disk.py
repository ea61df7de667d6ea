"""The whole store in a process of its own, on a disk that really refuses."""

import subprocess
import sys
from pathlib import Path

import pytest

FILL = """
import resource, sys
from pathlib import Path
from datetime import UTC, datetime
from chatbot_erp.eventstore.errors import StoreUnavailable
from chatbot_erp.eventstore.events import MessageAccepted
from chatbot_erp.eventstore.store import EventStore, NewEvent
from chatbot_erp.eventstore.verify import verify

event = MessageAccepted(command_id="c", number="1", kind="text", text="x" * 20_000)
with EventStore.open(Path(sys.argv[1])) as store:
    if sys.argv[2:]:
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
    version = refused = 0
    while not refused:
        new = NewEvent(id=f"e-{version}", event=event, recorded_at=datetime.now(UTC))
        try:
            version = store.append("a", version, [new], snapshot=b"1").result(60).version
        except StoreUnavailable as ex:
            refused += 1
            print(ex.trouble)
    assert store.healthy() and store.head() == version > 0
    if sys.argv[2:]:
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        assert store.append("a", version, [new], snapshot=b"1").result(60).version == version + 1
assert verify(Path(sys.argv[1])).problem is None
"""


def fill(*arguments: str | Path) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-c", FILL, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_file_that_may_not_grow_is_borne(directory: Path) -> None:
    done = fill(directory, "300000")
    assert (done.returncode, done.stdout) == (0, "io\n"), done.stderr


def test_a_file_system_that_is_really_full_is_borne(tmp_path: Path) -> None:
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(tmp_path)], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip("mounting a small file system is not allowed here")
    try:
        done = fill(tmp_path / "data")
        assert (done.returncode, done.stdout) == (0, "full\n"), done.stderr
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)
