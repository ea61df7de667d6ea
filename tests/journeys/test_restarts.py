"""What survives the end of a process: of the manager, in order or not, and of a socket host."""

import itertools
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

from chatbot_erp.sandbox.client import Network, Phone
from chatbot_erp.sandbox.faults import Drop, Fault, LoggedOut, LoginFailure
from manager_process import ManagerProcess
from receiver import Receiver
from stores import noted_end
from waiting import wait_until

NewPhone = Callable[[str], Phone]
MANY = 20


@contextmanager
def writing(customer: Phone, number: str, prefix: str, sent: list[str]) -> Iterator[None]:
    """Somebody writes a few hundred messages a second for as long as the block runs; `sent` says what went out."""
    stop = threading.Event()

    def write() -> None:
        for count in itertools.count():
            if stop.wait(0.003):
                return
            customer.send(number, f"{prefix} mensagem {count}")
            sent.append(f"{prefix} mensagem {count}")

    writer = threading.Thread(target=write)
    writer.start()
    try:
        yield
    finally:
        stop.set()
        writer.join()


def wait_for_text(receiver: Receiver, text: str, path: str | None = None) -> None:
    """Wait until the webhook was told of this message."""
    receiver.wait_for(lambda payload: payload.get("message", {}).get("text") == text, path=path)


def is_noted(manager: ManagerProcess, instance: str, cause: str) -> bool:
    return noted_end(manager, instance) == cause


def texts(receiver: Receiver, path: str | None = None) -> dict[str, str]:
    """Delivery id → text of every received message that was told."""
    received = receiver.deliveries(path=path, event="message.received")
    return {delivery.id: delivery.payload["message"]["text"] for delivery in received}


def test_twenty_numbers_are_back_after_a_restart_without_a_qr(
    tmp_path: Path, network: Network, new_phone: NewPhone
) -> None:
    manager = ManagerProcess(tmp_path / "data", network)
    names = [f"numero-{number}" for number in range(MANY)]
    with manager:
        for name in names:
            manager.pair(name, new_phone(name))
        assert manager.terminate() == 0
        manager.start()
        begun = time.monotonic()
        for name in names:
            manager.wait_connected(name)
        print(f"\n{MANY} numbers connected again {time.monotonic() - begun:.2f} s after the manager listened")
        for name in names:
            assert len(manager.events(name, "instance.pairing_offered")) == 1
            assert manager.view(name)["restarts"] == 0


def test_a_killed_manager_loses_nothing_that_was_received(
    tmp_path: Path, network: Network, receiver: Receiver, new_phone: NewPhone
) -> None:
    shop, customer = new_phone("Empresa X"), new_phone("Maria")
    manager = ManagerProcess(tmp_path / "data", network)
    sent: list[str] = []
    with manager:
        manager.pair("empresa_x", shop, receiver.url())
        for life in range(3):
            with writing(customer, shop.number, f"vida {life}", sent):
                wait_for_text(receiver, f"vida {life} mensagem 30")
                manager.kill()
            manager.start()
            manager.wait_connected("empresa_x")
        wait_for_text(receiver, sent[-1])
        told = list(texts(receiver).values())
        assert sorted(told) == sorted(sent)
        log = [event["data"]["messageId"] for event in manager.events("empresa_x", "message.received")]
        assert len(log) == len(set(log)) == len(sent)


def test_a_killed_socket_host_takes_down_its_own_numbers_only_and_they_come_back(
    tmp_path: Path, network: Network, receiver: Receiver, new_phone: NewPhone
) -> None:
    phones = {name: new_phone(name) for name in ("a", "b", "c", "d")}
    customer = new_phone("Maria")
    with ManagerProcess(tmp_path / "data", network, "--numbers-per-host", "2") as manager:

        def disconnected() -> set[str]:
            return {name for name in phones if manager.events(name, "instance.disconnected")}

        for name, phone in phones.items():
            manager.pair(name, phone, receiver.url(f"/{name}"))
        begun = time.monotonic()
        os.kill(manager.host_pids()[0], signal.SIGKILL)
        receiver.wait_for(lambda payload: payload.get("reason") == "host_died", count=2)
        for name in phones:
            manager.wait_connected(name)
        print(f"\nconnected again {time.monotonic() - begun:.2f} s after the kill")
        assert len(disconnected()) == 2
        for name, phone in phones.items():
            customer.send(phone.number, f"Olá {name}")
            wait_for_text(receiver, f"Olá {name}", f"/{name}")
            assert manager.send(name, customer.number, f"de {name}").status_code == 200


def test_what_has_ended_a_session_is_told_though_everybody_was_killed_who_knew(
    tmp_path: Path, network: Network, new_phone: NewPhone
) -> None:
    faults: dict[str, Fault] = {"locked": LoginFailure(reason=403), "logged_out": LoggedOut()}
    with ManagerProcess(tmp_path / "data", network) as manager:
        phones = {cause: new_phone(cause) for cause in faults}
        ids = {cause: manager.pair(cause, phone)["id"] for cause, phone in phones.items()}
        os.kill(manager.pid, signal.SIGSTOP)
        for cause, phone in phones.items():
            phone.fault(faults[cause])
            phone.fault(Drop())
            wait_until(partial(is_noted, manager, ids[cause], cause))
        for pid in (*manager.host_pids(), manager.pid):
            # One that was for a pairing may have ended just now, which nobody has noticed.
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        manager.wait_ended()
        manager.start()
        wait_until(lambda: manager.call("GET", "/instances/logged_out").status_code == 404)
        wait_until(lambda: manager.view("locked")["status"] == "INVALID")
        assert manager.view("locked")["reason"] == "locked"
        (removed,) = (
            event["data"]["reason"]
            for event in manager.call("GET", "/events", params={"instance": ids["logged_out"]}).json()["events"]
            if event["type"] == "instance.removed"
        )
        assert removed == "logged_out"


def test_messages_flow_on_while_a_socket_host_is_killed(
    manager: ManagerProcess, receiver: Receiver, new_phone: NewPhone
) -> None:
    shop, customer = new_phone("Empresa X"), new_phone("Maria")
    manager.pair("empresa_x", shop, receiver.url())
    (host,) = manager.host_pids()
    sent = []
    for number in range(120):
        text = f"mensagem {number}"
        customer.send(shop.number, text)
        sent.append(text)
        if number == 60:
            # What the library has acknowledged and not yet handed over would be lost (README, What is guaranteed).
            receiver.wait_for(lambda payload: payload["event"] == "message.received", count=61)
            os.kill(host, signal.SIGKILL)
    wait_for_text(receiver, sent[-1])
    manager.wait_connected("empresa_x")
    assert sorted(texts(receiver).values()) == sorted(sent)


def test_deliveries_that_were_waiting_come_after_a_restart_with_their_ids(
    tmp_path: Path, network: Network, receiver: Receiver, new_phone: NewPhone
) -> None:
    receiver.answer = lambda delivery: 503
    with ManagerProcess(tmp_path / "data", network) as manager:
        manager.pair("empresa_x", new_phone("Empresa X"), receiver.url())
        refused = receiver.wait_for(lambda payload: payload["sequence"] == 1)
        manager.kill()
        receiver.answer = lambda delivery: 200
        manager.start()
        receiver.wait_for(lambda payload: payload["instance"].get("status") == "CONNECTED")
        again = [delivery for delivery in receiver.deliveries() if delivery.payload["sequence"] == 1]
        assert len(again) >= 2
        assert {delivery.id for delivery in again} == {refused[0].id}
        assert len({delivery.body for delivery in again}) == 1
