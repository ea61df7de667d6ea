"""The log of a running manager is checked beside it, once at a time."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest

from chatbot_erp.actors.audit import Audit
from chatbot_erp.actors.errors import AuditRunning, Unavailable
from chatbot_erp.eventstore.events import PingSent
from chatbot_erp.eventstore.store import EventStore, NewEvent


def test_an_open_log_is_checked_and_nobody_else_has_it_checked_meanwhile(tmp_path: Path) -> None:
    audit = Audit(tmp_path)
    with EventStore.open(tmp_path) as store, ThreadPoolExecutor() as threads:
        new = NewEvent(id="e", event=PingSent(message_id="m"), recorded_at=datetime.now(UTC))
        store.append("s", 0, [new], snapshot=b"").result()
        first = threads.submit(audit.run)
        while not audit.is_running():
            assert not first.done()
        with pytest.raises(AuditRunning):
            audit.run()
        report = first.result()
        assert (report.problem, report.events) == (None, 1)
        assert report.checkpoint is not None
        assert report.checkpoint.is_genuine()


def test_a_check_ends_with_the_manager_and_says_so(tmp_path: Path) -> None:
    audit = Audit(tmp_path)
    with ThreadPoolExecutor() as threads:
        running = threads.submit(audit.run)
        while not running.done():
            audit.stop()
        with pytest.raises(Unavailable):
            running.result()


def test_where_there_is_no_log_the_reason_is_told(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="no event log"):
        Audit(tmp_path).run()
