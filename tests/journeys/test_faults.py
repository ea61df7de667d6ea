"""Every fault of the matrix, played on the real library over the sandbox network."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import pytest

from chatbot_erp.sandbox.client import Network, Phone
from fault_matrix import FAULTS, Fault, Number, all_events, follow, play, position
from manager_process import ManagerProcess
from receiver import Receiver

NewPhone = Callable[[str], Phone]

(DEAF,) = (fault for fault in FAULTS if fault.cause == "deaf")
QUICK = [fault for fault in FAULTS if fault is not DEAF]


class Struck:
    """A number and the fault that was played on it, and when."""

    def __init__(self, number: Number, fault: Fault) -> None:
        self.number = number
        self.fault = fault
        self.position = position(number)
        self.at = time.time()
        fault.strike(number)


class Ward:
    """One manager for all faults of this file; each number has a process of its own, and one is never touched."""

    def __init__(self, manager: ManagerProcess, network: Network, receiver: Receiver) -> None:
        self.manager = manager
        self.network = network
        self.receiver = receiver
        self._numbers = iter(range(1, 1000))
        self.customer = self.phone()
        self.healthy = self.admit()
        self.healthy_since = position(self.healthy)

    def phone(self) -> Phone:
        return self.network.phone(f"551197{next(self._numbers):07}")

    def admit(self) -> Number:
        phone = self.phone()
        name = f"n{phone.number}"
        created = self.manager.pair(name, phone, self.receiver.url(f"/{name}"))
        return Number(self.manager, name, created["id"], phone)

    def prove_working(self, number: Number) -> None:
        """Both directions, and the webhook."""
        assert self.manager.send(number.name, self.customer.number, f"de {number.name}").status_code == 200
        self.customer.receive(sender=number.phone.number, text=f"de {number.name}")
        text = f"para {number.name}"
        self.customer.send(number.phone.number, text)
        self.receiver.wait_for(lambda payload: payload.get("message", {}).get("text") == text, path=f"/{number.name}")


@pytest.fixture(scope="module")
def ward(tmp_path_factory: pytest.TempPathFactory, network: Network) -> Iterator[Ward]:
    data_dir = tmp_path_factory.mktemp("ward") / "data"
    with (
        Receiver() as receiver,
        ManagerProcess(data_dir, network, "--numbers-per-host", "1", "--no-sanity-ping") as manager,
    ):
        yield Ward(manager, network, receiver)


@pytest.fixture(scope="module")
def deaf(ward: Ward) -> Struck:
    """Silence takes most of a minute to notice: it goes on while the other faults are played."""
    return Struck(ward.admit(), DEAF)


@pytest.mark.parametrize("fault", QUICK, ids=lambda fault: fault.name)
def test_a_fault_is_noticed_and_what_can_be_cured_is(ward: Ward, deaf: Struck, fault: Fault) -> None:
    number = ward.admit()
    course = play(number, fault)
    print(f"\n{fault.name}: {course}")
    if not fault.ends:
        ward.manager.wait_connected(number.name)
        ward.prove_working(number)
        return
    assert course.restarts == (1 if fault.cause == "unusable_session" else 0)
    if fault.ends == "removed":
        ward.manager.wait_erased(number.id)
        assert ward.manager.call("GET", f"/instances/{number.name}").status_code == 404
        return
    view = ward.manager.wait_until(number.name, lambda view: view["status"] == fault.ends)
    assert view["reason"] == fault.cause


def test_a_deaf_connection_is_noticed_and_made_anew(ward: Ward, deaf: Struck) -> None:
    course = follow(deaf.number, deaf.fault, deaf.at, deaf.position)
    print(f"\n{deaf.fault.name}: {course}")
    ward.manager.wait_connected(deaf.number.name)
    ward.prove_working(deaf.number)


def test_none_of_it_touched_the_number_beside_it(ward: Ward) -> None:
    ward.prove_working(ward.healthy)
    happened = {event["type"] for event in all_events(ward.healthy) if event["position"] > ward.healthy_since}
    assert happened <= {
        *("message.accepted", "message.sent", "message.received", "message.acknowledged"),
        *("instance.degraded", "instance.recovered", "webhook.delivered"),
    }


def test_the_log_of_it_all_is_whole(ward: Ward) -> None:
    command = [sys.executable, "-m", "chatbot_erp.actors.main", "verify", "--data-dir", str(ward.manager.data_dir)]
    verdict = subprocess.run(command, capture_output=True, text=True, check=False)
    assert verdict.returncode == 0, verdict.stdout + verdict.stderr
