"""The writing process is killed at random moments; nothing that was acknowledged may be missing.

CHATBOT_ERP_KILLS says how often (20 by default).
"""

import os
import random
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from chatbot_erp.eventstore.places import verify as verify_place
from chatbot_erp.eventstore.postgres_store import open_store
from chatbot_erp.eventstore.store import EventStore
from chatbot_erp.eventstore.verify import verify

KILLS = int(os.environ.get("CHATBOT_ERP_KILLS", "20"))
CHILD = Path(__file__).with_name("crash_child.py")


def run_and_kill(directory: Path, acknowledgements: int, delay_s: float, *database: str) -> list[tuple[str, int, str]]:
    """What a child said before it was killed, a moment after that many acknowledgements."""
    with subprocess.Popen(
        [sys.executable, str(CHILD), str(directory), "8", *database], stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        said = []
        for line in child.stdout:
            said.append(line)
            if len(said) == acknowledgements:
                time.sleep(delay_s)
                child.kill()  # goes on reading: what was written to the pipe before was acknowledged
        assert child.wait() == -9, "the child ended by itself"
    complete = [line.decode().split() for line in said if line.endswith(b"\n") and line != b"ready\n"]
    return [(stream, int(version), event_id) for stream, version, event_id in complete]


@pytest.mark.timeout(900 + 30 * KILLS)
def test_nothing_acknowledged_is_lost_when_the_process_is_killed(directory: Path) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    acknowledged: dict[str, tuple[str, int]] = {}
    for _ in range(KILLS):
        many = chance.choice([1, 2, 10, chance.randrange(3, 600)])
        for stream, version, event_id in run_and_kill(directory, many, chance.uniform(0, 0.01)):
            acknowledged[event_id] = (stream, version)
        with closing(sqlite3.connect(directory / "events.db")) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            stored = {
                event_id: (stream, version)
                for event_id, stream, version in connection.execute("SELECT id, stream, version FROM events")
            }
            waiting = connection.execute("SELECT count(*) FROM deliveries").fetchone()
        assert acknowledged.items() <= stored.items()
        assert waiting == (0,), "a delivery and its verdict were appended together"
        report = verify(directory)
        assert (report.problem, report.events) == (None, len(stored))
    assert len(acknowledged) > KILLS
    with EventStore.open(directory) as store:
        assert store.head() == len(stored)
    print(f"{KILLS} kills, {len(acknowledged)} acknowledged, {len(stored)} stored")


@pytest.mark.timeout(900 + 30 * KILLS)
def test_nothing_acknowledged_is_lost_when_a_process_that_writes_to_postgresql_is_killed(
    directory: Path, database: str
) -> None:
    acknowledged: set[str] = set()
    for kill in range(KILLS // 4):
        acknowledged |= {event_id for _, _, event_id in run_and_kill(directory, 1 + 97 * kill, 0.001 * kill, database)}
        report = verify_place(database)
        assert report.problem is None
    with open_store(database, directory) as store:
        assert acknowledged <= {record.id for record in store.read(limit=1_000_000)}
        assert not any(head.pending for head in store.open_streams())
