"""Reading the log from the command line, beside a running manager and after it."""

import json
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from chatbot_erp.sandbox.client import Phone
from manager_process import ManagerProcess

NewPhone = Callable[[str], Phone]


def run(data_dir: Path, command: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "chatbot_erp.actors.main", command, "--data-dir", str(data_dir), *arguments]
    return subprocess.run(line, capture_output=True, text=True, timeout=60, check=False)


def objects(data_dir: Path, command: str, *arguments: str) -> list[Any]:
    done = run(data_dir, command, "--json", *arguments)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_the_log_of_a_running_and_of_a_stopped_manager_reads_the_same(
    manager: ManagerProcess, new_phone: NewPhone
) -> None:
    customer = new_phone("Maria")
    manager.pair("empresa_x", new_phone("Empresa X"))
    message_id = manager.send("empresa_x", customer.number, "Olá").json()["messageId"]
    manager.wait_until("empresa_x", lambda view: len(manager.events("empresa_x", "message.acknowledged")) == 2)
    running = objects(manager.data_dir, "events", "--instance", "empresa_x", "--type", "message.sent")
    assert running == manager.events("empresa_x", "message.sent")
    manager.terminate()
    stopped = objects(manager.data_dir, "events", "--instance", "empresa_x", "--type", "message.sent")
    assert running == stopped
    assert [event["data"]["messageId"] for event in running] == [message_id]

    about = objects(manager.data_dir, "events", "--message-id", message_id)
    assert [event["type"] for event in about if event["type"].startswith("message")] == [
        "message.sent",
        "message.acknowledged",
        "message.acknowledged",
    ]
    people = run(manager.data_dir, "events", "--limit", "1")
    assert "instance.created" in people.stdout


def test_a_replay_shows_the_instance_and_the_fate_of_its_messages_as_they_were(
    manager: ManagerProcess, new_phone: NewPhone
) -> None:
    customer = new_phone("Maria")
    manager.pair("empresa_x", new_phone("Empresa X"))
    message_id = manager.send("empresa_x", customer.number, "Olá").json()["messageId"]
    manager.wait_until("empresa_x", lambda view: len(manager.events("empresa_x", "message.acknowledged")) == 2)
    (sent,) = manager.events("empresa_x", "message.sent")

    for moment in (str(sent["position"]), sent["recordedAt"]):
        api = manager.call("GET", "/instances/empresa_x/state", params={"at": moment}).json()
        assert [message["messageId"] for message in api["messages"]] == [message_id]
    (then,) = objects(manager.data_dir, "replay", "empresa_x", "--at", str(sent["position"]))
    (now,) = objects(manager.data_dir, "replay", "empresa_x")
    assert (then["state"]["status"], then["messages"][0]["fate"]) == ("CONNECTED", "sent")
    assert (now["state"]["status"], now["messages"][0]["fate"]) == ("CONNECTED", "read")
    before = run(manager.data_dir, "replay", "empresa_x", "--at", "0")
    assert before.returncode == 1
    assert "did not exist yet" in before.stderr


def test_verify_finds_a_log_whole_and_names_the_first_position_that_was_changed(
    manager: ManagerProcess, new_phone: NewPhone
) -> None:
    manager.pair("empresa_x", new_phone("Empresa X"))
    assert run(manager.data_dir, "verify").returncode == 0
    manager.terminate()
    kept = manager.data_dir.parent / "checkpoint.json"
    assert run(manager.data_dir, "verify", "--keep", str(kept)).returncode == 0
    compared = run(manager.data_dir, "verify", "--checkpoint", str(kept))
    assert compared.returncode == 0
    assert f"up to position {json.loads(kept.read_text())['position']} " in compared.stdout

    with sqlite3.connect(manager.data_dir / "events.db") as log:
        log.execute("DROP TRIGGER events_are_not_updated")
        log.execute("UPDATE events SET data = replace(data, 'empresa_x', 'empresa_y') WHERE position = 1")
    log.close()
    found = run(manager.data_dir, "verify")
    assert found.returncode == 1
    assert "Position 1 " in found.stdout


def test_a_log_that_is_not_there_is_one_clear_line(tmp_path: Path) -> None:
    for command in ("events", "verify"):
        done = run(tmp_path, command)
        assert done.returncode == 1
        assert done.stderr.startswith("Error: There is no event log in")
