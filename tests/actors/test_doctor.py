"""What `chatbot-erp doctor` finds on machines of which something is known."""

import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from click.testing import CliRunner
from filelock import FileLock

from chatbot_erp.actors import doctor
from chatbot_erp.actors.doctor import Health
from chatbot_erp.actors.main import main
from chatbot_erp.eventstore.events import (
    Event,
    InstanceConnected,
    InstanceInvalidated,
    MessageAccepted,
    PingSent,
    Status,
)
from chatbot_erp.eventstore.places import open_store
from chatbot_erp.eventstore.store import EventStore, NewEvent
from chatbot_erp.eventstore.subjects import Subjects

NOON = datetime(2026, 1, 2, 12, 0, tzinfo=UTC)


def write(directory: Path, *events: Event) -> None:
    with EventStore.open(directory) as store:
        new = [NewEvent(id=str(uuid4()), event=event, recorded_at=NOON) for event in events]
        store.append("a", 0, new, snapshot=b"1").result()


def of(directory: Path, what: str, now: datetime = NOON) -> list[Health]:
    return [finding.health for finding in doctor.log(directory, lambda: now) if finding.what == what]


def test_a_sound_machine_has_nothing_that_fails(tmp_path: Path) -> None:
    write(tmp_path / "data", PingSent(message_id="m"))
    done = CliRunner().invoke(main, ["doctor", "--data-dir", str(tmp_path / "data"), "--port", "9"])
    assert done.exit_code == 0, done.output
    assert "neonize" in done.output
    assert "1 events" in done.output


def test_a_clock_that_is_behind_the_log_is_found(tmp_path: Path) -> None:
    write(tmp_path, PingSent(message_id="m"))
    assert of(tmp_path, "clock", NOON - timedelta(hours=3)) == [Health.ILL]
    assert of(tmp_path, "clock", NOON + timedelta(hours=3)) == [Health.WELL]


def test_the_log_in_a_database_is_looked_at_and_its_erasures_that_are_not_finished(
    tmp_path: Path, database: str
) -> None:
    with open_store(tmp_path, database) as store:
        store.append(
            "a", 0, [NewEvent(id="1", event=PingSent(message_id="m"), recorded_at=NOON)], snapshot=b""
        ).result()
        Subjects(store).begin(["5511987654321"], NOON)
    assert [finding.seen for finding in doctor.log(database, lambda: NOON) if finding.what in ("log", "erasures")] == [
        "1 events",
        "1 not finished, the oldest of 2026-01-02 12:00",
    ]


def test_a_client_that_whatsapp_does_not_want_is_found_until_it_is_replaced(tmp_path: Path) -> None:
    outdated = InstanceInvalidated(previous=Status.INITIALIZING, reason="client_outdated")
    connected = InstanceConnected(previous=Status.INITIALIZING, jid="1@s.whatsapp.net", lid=None, push_name="")
    write(tmp_path / "old", connected, outdated)
    write(tmp_path / "new", outdated, connected)
    assert of(tmp_path / "old", "WhatsApp client") == [Health.ILL]
    assert of(tmp_path / "new", "WhatsApp client") == [Health.WELL]


def test_a_log_whose_keys_are_missing_is_found(tmp_path: Path) -> None:
    write(tmp_path, MessageAccepted(command_id="c", number="5511987654321", kind="text", text="a secret wish"))
    assert of(tmp_path, "log") == [Health.WELL]
    (tmp_path / "keys.db").unlink()
    assert of(tmp_path, "log") == [Health.ILL]
    assert not (tmp_path / "keys.db").exists()


def test_a_log_that_is_none_is_found_and_fails_the_command(tmp_path: Path) -> None:
    (tmp_path / "events.db").write_bytes(b"no database, but long enough to be one" * 100)
    assert of(tmp_path, "log") == [Health.ILL]
    done = CliRunner().invoke(main, ["doctor", "--data-dir", str(tmp_path), "--json"])
    assert done.exit_code == 1
    assert '"what":"log","health":"failure"' in done.output


def test_a_directory_that_others_can_read_is_found(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    assert doctor.place(tmp_path).health is Health.DOUBTFUL
    tmp_path.chmod(0o700)
    assert doctor.place(tmp_path).health is Health.WELL


@pytest.mark.parametrize(("kind", "health"), [("nfs4", Health.ILL), ("ext4", Health.WELL)])
def test_the_file_system_is_that_of_the_deepest_mount(tmp_path: Path, kind: str, health: Health) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text(f"/dev/a / ext3 rw 0 0\nserver:/x {tmp_path.resolve()} {kind} rw 0 0\nproc /proc proc rw 0 0\n")
    assert doctor.file_system(tmp_path / "data", mounts) == kind
    assert doctor.file_system(Path("/"), mounts) == "ext3"
    assert (kind in doctor.NETWORK_FILE_SYSTEMS) == (health is Health.ILL)


def test_a_manager_that_runs_and_a_port_that_is_taken_are_told(tmp_path: Path) -> None:
    assert doctor.manager(tmp_path).seen == "none runs here"
    with FileLock(tmp_path / "manager.lock"):
        assert doctor.manager(tmp_path).seen == "one runs here"
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        assert doctor.listening("127.0.0.1", port).health is Health.DOUBTFUL
    assert doctor.listening("127.0.0.1", port).seen == "free"
