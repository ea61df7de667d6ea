"""What the supervisor does beyond a single fault: herds, quarantine, large processes, codes nobody scans, the end."""

import os
import signal
import threading
import time
from collections.abc import Callable
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from chatbot_erp.actors.instance import OPERATIONAL
from chatbot_erp.actors.supervision import INTENSITY
from chatbot_erp.sandbox.client import Network, Phone
from chatbot_erp.sandbox.control_connection import SandboxError
from chatbot_erp.sandbox.faults import CutShort, Drop, ForgedLink, Refuse, Silence, SlowAcks
from fault_matrix import IN_FILES, Number, holders
from hung_nursery import hang_nurseries
from inner_house import PATIENCE_S, admit, inner_house
from manager_process import ManagerProcess
from receiver import Receiver
from tough_line import ToughLine
from waiting import wait_until

NewPhone = Callable[[str], Phone]
HERD = 12


@pytest.fixture
def loading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Whatever socket processes are forked from hangs while it is loaded; the file with its process id."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return hang_nurseries(tmp_path)


def vitals(pid: int) -> dict[str, int]:
    """What a process uses."""
    status = Path(f"/proc/{pid}/status").read_text()
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    threads = int(status.partition("Threads:")[2].split()[0])
    return {"threads": threads, "descriptors": len(os.listdir(f"/proc/{pid}/fd")), "children": len(children)}


def settled_vitals(manager: ManagerProcess) -> dict[str, int]:
    """What it uses when its socket processes have ended and the threads that read them, too."""
    wait_until(lambda: manager.host_pids() == [])
    last, now = dict[str, int](), vitals(manager.pid)
    while last != now:
        time.sleep(0.2)
        last, now = now, vitals(manager.pid)
    return now


def verified(manager: ManagerProcess) -> str:
    """Empty if the log is whole."""
    verdict = manager.run("verify")
    return "" if verdict.returncode == 0 else verdict.stdout + verdict.stderr


def reasons(manager: ManagerProcess, name: str) -> list[str]:
    return [event["data"]["reason"] for event in manager.events(name, "instance.disconnected")]


def causes(manager: ManagerProcess, name: str) -> list[str]:
    return [event["data"]["cause"] for event in manager.events(name, "instance.restarted")]


def away(manager: ManagerProcess, name: str) -> tuple[datetime, datetime]:
    """From when to when a number was not connected because its process was replaced, for the first time."""
    move = next(
        event for event in manager.events(name, "instance.restarted") if event["data"]["cause"] == "host_recycled"
    )
    back = next(event for event in manager.events(name, "instance.connected") if event["position"] > move["position"])
    gone_at, back_at = (datetime.fromisoformat(event["recordedAt"]) for event in (move, back))
    return gone_at, back_at


def test_numbers_that_are_lost_together_come_back_and_the_api_lives(
    tmp_path: Path, network: Network, new_phone: NewPhone
) -> None:
    """Their processes are killed while nobody gets in: all wait for their turn, none is forgotten."""
    with ManagerProcess(tmp_path / "data", network, "--numbers-per-host", "4", "--no-sanity-ping") as manager:
        names = [f"n{number}" for number in range(HERD)]
        for name in names:
            manager.pair(name, new_phone(name))
        network.fault(Refuse(times=HERD))
        network.fault(Drop())
        for pid in manager.host_pids():
            os.kill(pid, signal.SIGKILL)
        for name in names:
            wait_until(lambda name=name: "host_died" in causes(manager, name))  # type: ignore[misc]
            assert manager.call("GET", "/livez").status_code == 200
        for name in names:
            manager.wait_connected(name)
        assert manager.call("GET", "/readyz").status_code == 200


def test_an_instance_that_fails_again_and_again_is_put_into_quarantine(
    tmp_path: Path, network: Network, new_phone: NewPhone
) -> None:
    with ManagerProcess(
        tmp_path / "data", network, "--numbers-per-host", "1", "--no-sanity-ping", *IN_FILES
    ) as manager:
        phone, other = new_phone("A"), new_phone("B")
        number = Number(manager, "a", manager.pair("a", phone)["id"], phone)
        manager.pair("b", other)
        for count in range(1, INTENSITY[0] + 2):
            os.kill(number.host, signal.SIGKILL)
            wait_until(lambda count=count: reasons(manager, "a").count("host_died") == count)  # type: ignore[misc]
            if count <= INTENSITY[0]:
                manager.wait_connected("a")
        wait_until(lambda: "quarantined" in manager.log.read_text())
        assert manager.view("a")["status"] == "DISCONNECTED"
        assert causes(manager, "a").count("host_died") == INTENSITY[0]
        assert reasons(manager, "b") == []
        assert manager.call("POST", "/instances/a/restart").status_code == 202
        manager.wait_connected("a")


def test_a_line_that_lets_in_and_breaks_at_once_is_told_and_left_in_peace(
    tmp_path: Path, network: Network, new_phone: NewPhone
) -> None:
    """The library alone would log in ten times a second for as long as it lasts."""
    with ManagerProcess(tmp_path / "data", network, "--no-sanity-ping") as manager:
        phone = new_phone("A")
        manager.pair("a", phone)
        phone.fault(CutShort())
        phone.fault(Drop())
        wait_until(lambda: "flapping" in causes(manager, "a"))
        assert "flapping" in reasons(manager, "a")
        phone.heal()
        assert manager.call("POST", "/instances/a/restart").status_code == 202
        wait_until(lambda: causes(manager, "a")[-1] == "requested")
        asked_at = manager.events("a", "instance.restarted")[-1]["position"]
        wait_until(lambda: manager.events("a", "instance.connected")[-1]["position"] > asked_at)
        manager.wait_connected("a")
        assert manager.send("a", new_phone("B").number, "ainda aqui").status_code == 200


def test_a_process_that_has_grown_too_large_is_replaced_number_by_number(
    tmp_path: Path, network: Network, receiver: Receiver, new_phone: NewPhone
) -> None:
    with ManagerProcess(
        tmp_path / "data",
        network,
        *("--no-sanity-ping", "--numbers-per-host", "3", "--host-descriptors", "40"),
        *IN_FILES,
    ) as manager:
        names = ["a", "b", "c"]
        phones = {name: new_phone(name) for name in names}
        ids = {name: manager.pair(name, phones[name], receiver.url(f"/{name}"))["id"] for name in names}
        (old,) = set(holders(manager, ids["a"]))
        for _ in range(12):
            if any("host_recycled" in causes(manager, name) for name in names):
                break
            count = len(manager.events("a", "instance.connected"))
            manager.call("POST", "/instances/a/restart")
            wait_until(lambda count=count: len(manager.events("a", "instance.connected")) > count)  # type: ignore[misc]
        # One whose restart was asked for at that very moment moves with that.
        for name in names[1:]:
            wait_until(lambda name=name: "host_recycled" in causes(manager, name))  # type: ignore[misc]
        wait_until(lambda: old not in manager.host_pids())
        for name in names:
            manager.wait_connected(name)
        moves = sorted(away(manager, name) for name in names[1:])
        print(f"\naway: {[f'{(back - gone).total_seconds():.2f} s' for gone, back in moves]}")
        assert all(back <= gone for (_, back), (gone, _) in pairwise(moves)), "two were away at once"
        for name in names:
            assert manager.view(name)["restarts"] == causes(manager, name).count("requested")
            assert reasons(manager, name) == []
            new_phone("Maria").send(phones[name].number, f"para {name}")
            receiver.wait_for(
                lambda payload, name=name: payload.get("message", {}).get("text") == f"para {name}",  # type: ignore[misc]
                path=f"/{name}",
            )


def test_a_dial_that_hangs_does_not_reach_the_numbers_beside_it(
    tmp_path: Path, network: Network, receiver: Receiver, new_phone: NewPhone
) -> None:
    """They share a process, which would be killed if one of them could not be closed."""
    with (
        ToughLine(network.proxy_url) as line,
        inner_house(tmp_path / "data", network, numbers_per_host=3, proxy_url=line.url) as manager,
    ):
        hanging, restarted, quiet = (admit(manager, name, new_phone(name), receiver.url()) for name in "abc")
        line.hang_the_next_dial()
        manager.restart(hanging.name)
        assert line.await_hanging(PATIENCE_S)
        manager.restart(restarted.name)
        restarted.wait(lambda view: view.restarts == 1 and view.status in OPERATIONAL)
        assert ("hosts_lost", "host_hung") not in manager.tallies()
        assert quiet.wait(lambda view: view.status in OPERATIONAL).restarts == 0
        line.hang_up()


def test_a_number_that_is_removed_while_its_dial_hangs_leaves_the_one_beside_it_alone_and_then_its_process(
    tmp_path: Path, network: Network, receiver: Receiver, new_phone: NewPhone
) -> None:
    with (
        ToughLine(network.proxy_url) as line,
        inner_house(tmp_path / "data", network, numbers_per_host=2, proxy_url=line.url, in_files=True) as manager,
    ):
        hanging, quiet = (admit(manager, name, new_phone(name), receiver.url()) for name in "ab")
        connected_since = quiet.wait(lambda view: view.status in OPERATIONAL).since
        line.hang_the_next_dial()
        manager.restart(hanging.name)
        assert line.await_hanging(PATIENCE_S)
        manager.remove(hanging.name, unlink=True)
        session = tmp_path / "data" / "sessions" / f"{hanging.id}.db"
        assert session.exists(), "it is open"
        line.end_the_dial()
        wait_until(lambda: not session.exists())
        assert quiet.wait(lambda view: view.status in OPERATIONAL).since == connected_since
        wait_until(manager.host_vitals)  # it says so only now and then
        manager.remove(quiet.name, unlink=True)
        wait_until(lambda: not manager.host_vitals())
        assert [key for key in manager.tallies() if key[0] == "hosts_lost"] == []


def test_codes_that_nobody_scans_leave_nothing_behind(tmp_path: Path, network: Network, receiver: Receiver) -> None:
    """Nor does it end anything but the attempt: whoever asks has another one made."""
    with ManagerProcess(tmp_path / "data", network, "--qr-timeout", "1") as manager:
        names = [f"n{number}" for number in range(4)]
        for name in names:
            manager.create(name, receiver.url())
            if name == names[0]:
                # The library makes its tables in a database when the first one comes.
                wait_until(lambda: reasons(manager, names[0]))
        seen = []
        for round_ in range(1, 4):
            for name in names:
                wait_until(lambda name=name, round_=round_: reasons(manager, name) == ["qr_expired"] * round_)  # type: ignore[misc]
                manager.wait_until(name, lambda view: (view["status"], view["qr"]) == ("DISCONNECTED", None))
            seen.append(settled_vitals(manager))
            for name in names:
                manager.call("POST", f"/instances/{name}/restart")
        print(f"\n{seen}")
        assert seen[2]["threads"] <= seen[1]["threads"]
        # A connection to the receiver comes and goes; what is left of an attempt would be one for each number.
        assert seen[2]["descriptors"] < seen[1]["descriptors"] + len(names)


def test_a_code_is_renewed_where_that_is_wanted(tmp_path: Path, network: Network, new_phone: NewPhone) -> None:
    with ManagerProcess(tmp_path / "data", network, "--qr-timeout", "1", "--qr-attempts", "3") as manager:
        manager.create("a")
        wait_until(lambda: reasons(manager, "a").count("qr_expired") == 3)
        assert causes(manager, "a") == ["qr_expired", "qr_expired"]
        assert manager.view("a")["status"] == "DISCONNECTED"


def test_a_link_that_is_refused_is_no_reason_to_go_on_until_somebody_asks(
    tmp_path: Path, network: Network, new_phone: NewPhone
) -> None:
    """The phone that answered the code cannot prove that it saw it."""
    with ManagerProcess(tmp_path / "data", network, "--no-sanity-ping") as manager:
        phone = new_phone("Empresa X")
        phone.fault(ForgedLink())
        manager.create("a")
        shown = manager.wait_until("a", lambda view: view["qr"] is not None)
        with pytest.raises(SandboxError, match="refused the link"):
            phone.scan(shown["qr"])
        wait_until(lambda: reasons(manager, "a") == ["pairing_failed"])
        assert manager.view("a")["status"] == "DISCONNECTED"
        wait_until(lambda: manager.host_pids() == [])
        assert causes(manager, "a") == []
        phone.heal()
        manager.call("POST", "/instances/a/restart")
        phone.scan(manager.wait_until("a", lambda view: view["qr"] is not None)["qr"])
        manager.wait_connected("a")


def test_sigterm_lets_what_runs_finish(
    tmp_path: Path, network: Network, receiver: Receiver, new_phone: NewPhone
) -> None:
    """A send that is under way gets its answer; nobody is logged out; the log is whole."""
    phone, customer = new_phone("Empresa X"), new_phone("Maria")
    manager = ManagerProcess(tmp_path / "data", network, "--no-sanity-ping")
    with manager:
        manager.pair("a", phone, receiver.url())
        phone.fault(SlowAcks(delay_s=3))
        answers: list[Any] = []
        sender = threading.Thread(target=lambda: answers.append(manager.send("a", customer.number, "a caminho")))
        sender.start()
        wait_until(lambda: manager.events("a", "message.accepted"))
        assert manager.terminate() == 0
        sender.join()
        assert answers[0].status_code == 200
        assert manager.host_pids() == []
        phone.heal()
        assert verified(manager) == ""
        manager.start()
        manager.wait_connected("a")
        assert len(manager.events("a", "instance.pairing_offered")) == 1
        receiver.wait_for(lambda payload: payload["event"] == "message.sent")


def test_a_socket_process_that_does_not_come_does_not_hold_up_the_end_and_its_number_has_lost_nothing(
    tmp_path: Path, network: Network, loading: Path
) -> None:
    """A machine that has no time may take minutes to load what such a process is forked from."""
    with ManagerProcess(tmp_path / "data", network) as manager:
        manager.create("a")
        wait_until(loading.exists)
        assert manager.terminate() == 0
        manager.start()
        manager.wait_until("a", lambda view: view["qr"] is not None)
        assert reasons(manager, "a") == []


def test_a_socket_process_that_does_not_come_keeps_nobody_from_creating_numbers(
    tmp_path: Path, network: Network, loading: Path
) -> None:
    with ManagerProcess(tmp_path / "data", network) as manager:
        manager.create("a")
        wait_until(lambda: loading.exists() and loading.read_text())
        # Whoever is waited for in the supervisor's thread is asked nothing else.
        assert manager.create("b")["status"] == "INITIALIZING"
        os.kill(int(loading.read_text()), signal.SIGKILL)
        # Whoever has waited longest hears that nothing could be loaded; then that is tried again, for all.
        for name, told in (("a", ["socket_failed"]), ("b", [])):
            manager.wait_until(name, lambda view: view["qr"] is not None)
            assert reasons(manager, name) == told


def test_a_second_signal_ends_it_at_once_though_a_send_to_nowhere_holds_up_the_end(
    tmp_path: Path, network: Network, new_phone: NewPhone
) -> None:
    phone, customer = new_phone("Empresa X"), new_phone("Maria")
    manager = ManagerProcess(tmp_path / "data", network, "--no-sanity-ping")
    with manager:
        manager.pair("a", phone)
        assert manager.send("a", customer.number, "primeira").status_code == 200
        phone.fault(Silence())
        answers: list[Any] = []

        def send() -> None:
            try:
                answers.append(manager.send("a", customer.number, "para o nada").status_code)
            except OSError as ex:
                answers.append(ex)

        sender = threading.Thread(target=send)
        sender.start()
        wait_until(lambda: len(manager.events("a", "message.accepted")) == 2)
        os.kill(manager.pid, signal.SIGTERM)
        wait_until(lambda: "shutting down" in manager.log.read_text())
        assert manager.terminate() == 130
        sender.join()
        assert verified(manager) == ""
        phone.heal()
        manager.start()
        manager.wait_connected("a")
        assert [each["data"]["reason"] for each in manager.events("a", "message.outcome_unknown")]
        assert [message.text for message in customer.inbox()] == ["primeira"]
