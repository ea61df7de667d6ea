"""A backup that was made while everything ran brings the numbers back on an empty disk."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from chatbot_erp.sandbox.client import Phone
from manager_process import ManagerProcess

NewPhone = Callable[[str], Phone]


def run(command: str, place: Path, data_dir: Path) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "chatbot_erp.actors.main", command, str(place), "--data-dir", str(data_dir)]
    return subprocess.run(line, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.sqlite("`backup` copies a data directory")
def test_a_number_is_connected_from_a_backup_without_a_qr(
    manager: ManagerProcess, new_phone: NewPhone, tmp_path: Path
) -> None:
    customer = new_phone("Maria")
    manager.pair("empresa_x", new_phone("Empresa X"))
    message_id = manager.send("empresa_x", customer.number, "antes").json()["messageId"]
    made = run("backup", tmp_path / "copy", manager.data_dir)
    assert made.returncode == 0, made.stderr
    again = run("backup", tmp_path / "copy", manager.data_dir)
    assert again.returncode != 0
    assert "there already" in again.stderr

    refused = run("restore", tmp_path / "copy", manager.data_dir)
    assert refused.returncode != 0
    assert "there already" in refused.stderr
    assert manager.terminate() == 0
    manager.data_dir.rename(tmp_path / "lost")
    # As it is where systemd or a container made it: empty, and elsewhere.
    (tmp_path / "volume").mkdir()
    manager.data_dir.symlink_to(tmp_path / "volume")
    restored = run("restore", tmp_path / "copy", manager.data_dir)
    assert restored.returncode == 0, restored.stderr
    manager.start()
    manager.wait_connected("empresa_x")
    assert manager.send("empresa_x", customer.number, "depois").status_code == 200
    customer.receive(text="depois")
    events = manager.events("empresa_x")
    assert message_id in [event["data"].get("messageId") for event in events if event["type"] == "message.sent"]
    offered = [event for event in events if event["type"] == "instance.pairing_offered"]
    assert len(offered) == 1
