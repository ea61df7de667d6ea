"""Reading the log from the command line, beside a running manager and after it."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from chatbot_erp.sandbox.client import Network, Phone
from manager_process import MAIN, ManagerProcess
from stores import change

NewPhone = Callable[[str], Phone]


def objects(manager: ManagerProcess, command: str, *arguments: str) -> list[Any]:
    done = manager.run(command, "--json", *arguments)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_the_log_of_a_running_and_of_a_stopped_manager_reads_the_same(
    manager: ManagerProcess, new_phone: NewPhone
) -> None:
    customer = new_phone("Maria")
    manager.pair("empresa_x", new_phone("Empresa X"))
    message_id = manager.send("empresa_x", customer.number, "Olá").json()["messageId"]
    manager.wait_until("empresa_x", lambda view: len(manager.events("empresa_x", "message.acknowledged")) == 2)
    running = objects(manager, "events", "--instance", "empresa_x", "--type", "message.sent")
    assert running == manager.events("empresa_x", "message.sent")
    manager.terminate()
    stopped = objects(manager, "events", "--instance", "empresa_x", "--type", "message.sent")
    assert running == stopped
    assert [event["data"]["messageId"] for event in running] == [message_id]

    (sent,) = running
    about = objects(manager, "events", "--message-id", message_id)
    assert [event["type"] for event in about if event["type"].startswith("message")] == [
        "message.accepted",
        "message.sent",
        "message.acknowledged",
        "message.acknowledged",
    ]
    assert objects(manager, "events", "--message-id", sent["data"]["commandId"]) == about
    people = manager.run("events", "--limit", "1")
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
    (then,) = objects(manager, "replay", "empresa_x", "--at", str(sent["position"]))
    (now,) = objects(manager, "replay", "empresa_x")
    assert (then["state"]["status"], then["messages"][0]["fate"]) == ("CONNECTED", "sent")
    assert (now["state"]["status"], now["messages"][0]["fate"]) == ("CONNECTED", "read")
    before = manager.run("replay", "empresa_x", "--at", "0")
    assert before.returncode == 1
    assert "did not exist yet" in before.stderr


def test_verify_finds_a_log_whole_and_names_the_first_position_that_was_changed(
    manager: ManagerProcess, new_phone: NewPhone
) -> None:
    manager.pair("empresa_x", new_phone("Empresa X"))
    assert manager.run("verify").returncode == 0
    manager.terminate()
    kept = manager.data_dir.parent / "checkpoint.json"
    assert manager.run("verify", "--keep", str(kept)).returncode == 0
    compared = manager.run("verify", "--checkpoint", str(kept))
    assert compared.returncode == 0
    assert f"up to position {json.loads(kept.read_text())['position']} " in compared.stdout

    guard = "events_are_never_changed ON events" if manager.database else "events_are_not_updated"
    change(manager, "events", f"DROP TRIGGER {guard}")
    change(manager, "events", "UPDATE events SET data = replace(data, 'empresa_x', 'empresa_y') WHERE position = 1")
    found = manager.run("verify")
    assert found.returncode == 1
    assert "Position 1 " in found.stdout


def test_the_log_is_read_in_pages_by_instance_and_by_type(manager: ManagerProcess) -> None:
    ids = {name: manager.create(name)["id"] for name in ("a", "b")}
    for name in ids:
        manager.wait_event(name, "instance.pairing_offered")

    def page(**wanted: Any) -> Any:
        return manager.call("GET", "/events", params=wanted).json()

    read, after = [], 0
    while (found := page(after=after, limit=2))["events"]:
        assert len(found["events"]) <= 2
        read += found["events"]
        after = found["next"]
    assert [event["position"] for event in read] == list(range(1, len(read) + 1))
    assert [event["stream"] for event in page(type="instance.created")["events"]] == [*ids.values()]
    of_one = page(instance="b", type=["instance.created", "instance.pairing_offered"])["events"][:2]
    assert of_one == manager.events("b", "instance.created", "instance.pairing_offered")[:2]
    assert {event["stream"] for event in of_one} == {ids["b"]}
    of_all = manager.events("b")
    from_the_end = {"before": of_all[-1]["position"] + 1, "limit": 2}
    assert manager.call("GET", "/instances/b/events", params=from_the_end).json()["events"] == of_all[-2:]


def test_the_events_of_a_stretch_of_time_are_shown_and_those_to_come_as_they_come(manager: ManagerProcess) -> None:
    manager.create("a")
    manager.wait_event("a", "instance.pairing_offered")
    created, offered = manager.events("a")[:2]
    for stretch, shown in (("--until", created), ("--since", offered)):
        found = objects(manager, "events", "--instance", "a", "--limit", "2", stretch, shown["recordedAt"])
        assert shown in found
        assert (created in found, offered in found) == (shown is created, shown is offered)

    place = ("--data-dir", str(manager.data_dir), "--database", manager.database or "")
    line = (sys.executable, *MAIN, "events", "--follow", "--json", "--type", "instance.created", *place)
    with subprocess.Popen(line, stdout=subprocess.PIPE, text=True) as following:
        assert following.stdout is not None
        try:
            assert json.loads(following.stdout.readline()) == created
            later = manager.create("b")
            assert json.loads(following.stdout.readline())["stream"] == later["id"]
        finally:
            following.terminate()


def test_a_log_that_is_not_there_is_one_clear_line(tmp_path: Path, network: Network) -> None:
    empty = ManagerProcess(tmp_path / "data", network)
    for command in ("events", "verify"):
        done = empty.run(command)
        assert done.returncode == 1
        assert done.stderr.startswith("Error: There is no event log in")
