"""Every fault of the matrix, played on the real library over the sandbox network."""

import time
from collections.abc import Iterator

import pytest

from chatbot_erp.actors.manager import Manager
from chatbot_erp.sandbox.client import Network, Phone
from fault_matrix import FAULTS, IN_FILES, Fault, Number, all_events, follow, play, position
from inner_house import InnerNumber, admit, inner_house
from manager_process import ManagerProcess
from receiver import Receiver

SLOW = [fault for fault in FAULTS if fault.is_slow]
QUICK = [fault for fault in FAULTS if not fault.is_slow]


class Struck:
    """A number and the fault that was played on it, and when."""

    def __init__(self, number: Number, fault: Fault) -> None:
        self.number = number
        self.fault = fault
        self.position = position(number)
        self.at = time.time()
        fault.strike(number)


class Hanging:
    """A number of a manager in this process, whose actor hangs, and since when."""

    def __init__(self, number: InnerNumber) -> None:
        self.number = number
        self.actor = number.actor
        self.tarpit = number.hang()
        self.since = time.monotonic()


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
        self.incurable: list[tuple[Number, int]] = []
        """Numbers that nothing can cure, and how many restarts they had when that was clear."""

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


def prove_inner_working(number: InnerNumber, ward: Ward, when: str) -> None:
    text = f"{number.name}, {when}"
    number.manager.send_text(number.name, ward.customer.number, f"de {text}")
    ward.customer.receive(text=f"de {text}")
    ward.customer.send(number.phone.number, f"para {text}")
    ward.receiver.wait_for(
        lambda payload: payload.get("message", {}).get("text") == f"para {text}", path=f"/{number.name}"
    )


def restarts(number: InnerNumber) -> list[str]:
    """Why each socket after the first was made."""
    records = number.manager.store.read(stream=number.id, types={"instance.restarted"}, limit=100)
    return [record.event.cause for record in records]  # type: ignore[attr-defined]


@pytest.fixture(scope="module")
def ward(tmp_path_factory: pytest.TempPathFactory, network: Network) -> Iterator[Ward]:
    data_dir = tmp_path_factory.mktemp("ward") / "data"
    with (
        Receiver() as receiver,
        ManagerProcess(data_dir, network, "--numbers-per-host", "1", "--no-sanity-ping", *IN_FILES) as manager,
    ):
        yield Ward(manager, network, receiver)


@pytest.fixture(scope="module")
def silent(ward: Ward) -> list[Struck]:
    """Silence takes most of a minute to notice: it goes on while the other faults are played."""
    return [Struck(ward.admit(), fault) for fault in SLOW]


@pytest.fixture(scope="module")
def inner(tmp_path_factory: pytest.TempPathFactory, network: Network) -> Iterator[Manager]:
    with inner_house(tmp_path_factory.mktemp("inner") / "data", network) as manager:
        yield manager


@pytest.fixture(scope="module")
def hanging(inner: Manager, ward: Ward) -> Iterator[Hanging]:
    """An actor that hangs takes most of a minute to notice, too."""
    hanging = Hanging(admit(inner, "hanging", ward.phone(), ward.receiver.url("/hanging")))
    yield hanging
    hanging.tarpit.release()


@pytest.mark.parametrize("fault", QUICK, ids=lambda fault: fault.name)
def test_a_fault_is_noticed_and_what_can_be_cured_is(
    ward: Ward, silent: list[Struck], hanging: Hanging, fault: Fault
) -> None:
    number = ward.admit()
    course = play(number, fault)
    print(f"\n{fault.name}: {course}")
    if not fault.ends:
        ward.manager.wait_connected(number.name)
        ward.prove_working(number)
        return
    # A damaged session is found when it is opened, which takes a restart.
    assert course.restarts == (1 if fault.cause == "unusable_session" else 0)
    ward.incurable.append((number, course.restarts))
    if fault.ends == "removed":
        ward.manager.wait_erased(number.id)
        assert ward.manager.call("GET", f"/instances/{number.name}").status_code == 404
        return
    view = ward.manager.wait_until(number.name, lambda view: view["status"] == fault.ends)
    assert view["reason"] == fault.cause


def test_an_actor_that_fails_is_replaced_at_once_and_its_socket_is_kept(
    ward: Ward, inner: Manager, hanging: Hanging
) -> None:
    number = admit(inner, "failing", ward.phone(), ward.receiver.url("/failing"))
    former, begun = number.actor, time.monotonic()
    former.tell("nonsense")
    number.await_successor(former)
    print(f"\nreplaced after {(time.monotonic() - begun) * 1000:.0f} ms")
    prove_inner_working(number, ward, "replaced")
    assert restarts(number) == ["paired"]
    assert inner.tallies()["actors_replaced", "actor_failed"] == 1


@pytest.mark.parametrize("place", range(len(SLOW)), ids=[fault.name for fault in SLOW])
def test_silence_is_noticed_and_the_connection_made_anew(ward: Ward, silent: list[Struck], place: int) -> None:
    struck = silent[place]
    course = follow(struck.number, struck.fault, struck.at, struck.position)
    print(f"\n{struck.fault.name}: {course}")
    ward.manager.wait_connected(struck.number.name)
    ward.prove_working(struck.number)


def test_an_actor_that_hangs_is_replaced_within_a_minute_and_its_socket_is_kept(
    ward: Ward, inner: Manager, hanging: Hanging
) -> None:
    number = hanging.number
    ward.customer.send(number.phone.number, "enquanto dorme")
    number.await_successor(hanging.actor)
    print(f"\nreplaced after {time.monotonic() - hanging.since:.1f} s")
    ward.receiver.wait_for(lambda payload: payload.get("message", {}).get("text") == "enquanto dorme", path="/hanging")
    prove_inner_working(number, ward, "replaced")
    assert restarts(number) == ["paired"]
    assert inner.tallies()["actors_replaced", "actor_stuck"] == 1
    hanging.tarpit.release()
    assert hanging.actor.actor_stopped.wait(60)
    prove_inner_working(number, ward, "and the former one gone")


def test_what_cannot_be_cured_was_never_restarted(ward: Ward) -> None:
    """The silence before this took most of a minute, time enough for a restart that nobody wants."""
    causes = {
        number.name: [event["data"]["cause"] for event in all_events(number) if event["type"] == "instance.restarted"]
        for number, _ in ward.incurable
    }
    assert {name: len(each) for name, each in causes.items()} == {
        number.name: restarts + len(["paired"]) for number, restarts in ward.incurable
    }, causes


def test_none_of_it_touched_the_number_beside_it(ward: Ward) -> None:
    ward.prove_working(ward.healthy)
    happened = {event["type"] for event in all_events(ward.healthy) if event["position"] > ward.healthy_since}
    assert happened <= {
        *("message.accepted", "message.sent", "message.received", "message.acknowledged"),
        *("instance.degraded", "instance.recovered", "webhook.delivered"),
    }


def test_the_log_of_it_all_is_whole(ward: Ward) -> None:
    verdict = ward.manager.run("verify")
    assert verdict.returncode == 0, verdict.stdout + verdict.stderr
