"""The log of a running manager is checked beside it, once at a time."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest

from chatbot_erp.actors.audit import Audit
from chatbot_erp.actors.errors import AuditRunning, Unavailable
from chatbot_erp.eventstore.events import PingSent
from chatbot_erp.eventstore.places import open_store
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


def test_a_check_ends_with_the_manager_and_none_begins_after_that(tmp_path: Path) -> None:
    audit = Audit(tmp_path)
    with ThreadPoolExecutor() as threads:
        running = threads.submit(audit.run)
        while not audit.is_running():
            assert not running.done()
        audit.stop()
        with pytest.raises(Unavailable):
            running.result()
    with EventStore.open(tmp_path), pytest.raises(Unavailable, match="shutting down"):
        audit.run()


def test_the_log_that_is_checked_is_the_managers_own(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    new = NewEvent(id="e", event=PingSent(message_id="m"), recorded_at=datetime.now(UTC))
    with open_store(tmp_path, database) as store:
        store.append("s", 0, [new], snapshot=b"").result()
        assert Audit(tmp_path, database).run().events == 1
    monkeypatch.setenv("CHATBOT_ERP_DATABASE", database)
    with EventStore.open(tmp_path):
        assert Audit(tmp_path).run().events == 0


def test_where_there_is_no_log_the_reason_is_told(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="no event log"):
        Audit(tmp_path).run()
