"""How fast faults are noticed and healed, what a herd costs, and what is left behind: the figures of docs/faults.md.

    python tests/bench/bench_healing.py [matrix] [herd] [reconnects] [codes] [recycling]

Everything runs on 127.0.0.1 against the sandbox network; without a name, all of it. Timings are printed, not judged.
"""

import itertools
import os
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "support")]

from chatbot_erp.actors.supervision import REMEDIES
from chatbot_erp.actors.wa_watch import FLAPS
from chatbot_erp.sandbox.client import Network
from chatbot_erp.sandbox.faults import Drop
from fault_matrix import FAULTS, Course, Fault, Number, all_events, await_connected, await_event, moment, play, position
from load.processes import descriptors, threads
from manager_process import ManagerProcess
from receiver import Receiver

ROUNDS = int(os.environ.get("ROUNDS", "5"))
HERD = int(os.environ.get("HERD", "200"))
RECONNECTS = int(os.environ.get("RECONNECTS", "1000"))
CODES = int(os.environ.get("CODES", "100"))
PAIRING_AT_ONCE = 4
SHOWN_AT_ONCE = 10
SETTLING_S = 1.0
HEARD_WITHIN_S = 5.0

FEW_RESETS = FLAPS[0] - 1
"""A number whose line breaks more often than this in a short time is not left to the library."""

_numbers = itertools.count(1)


@contextmanager
def world(*options: str) -> Iterator[tuple[Network, ManagerProcess, Receiver]]:
    """A network, a receiver and a manager that nobody had before."""
    with (
        tempfile.TemporaryDirectory() as directory,
        Network.start() as network,
        Receiver() as receiver,
        ManagerProcess(Path(directory) / "data", network, "--no-sanity-ping", *options) as manager,
    ):
        yield network, manager, receiver


def admit(network: Network, manager: ManagerProcess, receiver: Receiver) -> Number:
    """A new number, connected."""
    phone = network.phone(f"5511{next(_numbers):09}")
    name = f"n{phone.number}"
    return Number(manager, name, manager.pair(name, phone, receiver.url(f"/{name}"))["id"], phone)


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def usage(pid: int) -> dict[str, int]:
    """What a process uses: MiB, descriptors, threads."""
    resident_kb = int(Path(f"/proc/{pid}/status").read_text().partition("VmRSS:")[2].split()[0])
    return {"MiB": resident_kb // 1024, "descriptors": descriptors([pid]), "threads": threads([pid])}


def matrix() -> None:
    """The first table of docs/faults.md."""
    with world("--numbers-per-host", "1") as (network, manager, receiver):

        def course(fault: Fault) -> Course:
            return play(admit(network, manager, receiver), fault)

        quick = {fault: [course(fault) for _ in range(ROUNDS)] for fault in FAULTS if not fault.is_slow}
        slow = [fault for fault in FAULTS if fault.is_slow]
        with ThreadPoolExecutor() as pool:
            courses = quick | {fault: [once] for fault, once in zip(slow, pool.map(course, slow), strict=True)}
    print("| fault | cause | what is done | noticed after | connected again after | restarts |")
    print("|---|---|---|---|---|---|")
    for fault in FAULTS:
        print(row(fault, courses[fault]))
    print(f"\nnoticed, where something is to be heard: {spread(told(courses, lambda fault: not is_silent(fault)))}")
    print(f"noticed, where nothing is: {spread(told(courses, is_silent))}")
    heals = [each.heal_s for several in courses.values() for each in several if each.heal_s is not None]
    print(f"connected again, all that is curable: {spread(heals)}", flush=True)


def is_silent(fault: Fault) -> bool:
    """Whether it is only missed."""
    return fault.noticed_within_s > HEARD_WITHIN_S


def told(courses: dict[Fault, list[Course]], wanted: Callable[[Fault], bool]) -> list[float]:
    """After how many seconds each was noticed."""
    return [course.detect_s for fault, several in courses.items() if wanted(fault) for course in several]


def spread(values: list[float]) -> str:
    shares = ", ".join(f"p{share} {seconds(percentile(values, share / 100))}" for share in (50, 99))
    return f"{shares}, max {seconds(max(values))} of {len(values)}"


def row(fault: Fault, courses: list[Course]) -> str:
    """Medians of what was measured."""
    noticed = seconds(statistics.median(course.detect_s for course in courses))
    heals = [course.heal_s for course in courses if course.heal_s is not None]
    outcome = seconds(statistics.median(heals)) if heals else fault.ends
    restarts = max(course.restarts for course in courses)
    return f"| {fault.name} | `{fault.cause}` | {REMEDIES[fault.cause].value} | {noticed} | {outcome} | {restarts} |"


def seconds(value: float) -> str:
    return f"{value * 1000:.0f} ms" if value < 1 else f"{value:.1f} s"


def herd() -> None:
    """All numbers lose their connection at once: the network, then all processes, then the manager."""
    with world() as (network, manager, receiver):
        with ThreadPoolExecutor(PAIRING_AT_ONCE) as pool:
            numbers = list(pool.map(lambda _: admit(network, manager, receiver), range(HERD)))
        print(f"{HERD} numbers in {len(manager.host_pids())} processes; manager: {usage(manager.pid)}", flush=True)

        def kill_all_hosts() -> None:
            for pid in manager.host_pids():
                os.kill(pid, 9)

        blows: list[tuple[str, Callable[[], Any]]] = [
            ("all connections reset", lambda: network.fault(Drop())),
            ("all socket processes killed", kill_all_hosts),
        ]
        for name, blow in blows:
            marks = {number.name: position(number) for number in numbers}
            with callers(manager) as times:
                struck = time.time()
                blow()
                back = [await_back(number, marks[number.name]) - struck for number in numbers]
            print(
                f"{name}: back after {statistics.median(back):.2f} s (median), {max(back):.2f} s (last); "
                f"meanwhile GET /instances p50 {percentile(times, 0.5) * 1000:.0f} ms, "
                f"p99 {percentile(times, 0.99) * 1000:.0f} ms of {len(times)}",
                flush=True,
            )
        manager.terminate()
        begun = time.monotonic()
        manager.start()
        listening = time.monotonic() - begun
        for number in numbers:
            manager.wait_connected(number.name, timeout_s=120)
        print(
            f"manager restarted: listens after {listening:.2f} s, all connected after {time.monotonic() - begun:.2f} s"
        )


def await_back(number: Number, after: int) -> float:
    return moment(await_connected(number, after))


@contextmanager
def callers(manager: ManagerProcess) -> Iterator[list[float]]:
    """Somebody asks for the list of instances all the time; how long each answer took."""
    import requests

    times: list[float] = []
    stop = threading.Event()

    def ask() -> None:
        session = requests.Session()
        session.trust_env = False
        while not stop.wait(0.02):
            begun = time.monotonic()
            assert session.get(f"{manager.url}/instances", timeout=60).status_code == 200
            times.append(time.monotonic() - begun)

    asker = threading.Thread(target=ask)
    asker.start()
    try:
        yield times
    finally:
        stop.set()
        asker.join()


def reconnects() -> None:
    """The line is cut again and again: what the library mends by itself, and what is restarted."""
    with world() as (network, manager, receiver):
        numbers = [admit(network, manager, receiver) for _ in range(RECONNECTS // 2 // FEW_RESETS + 1)]
        marks = {number: position(number) for number in numbers}
        for kind, cut, hit in (
            ("resets", lambda number: number.phone.fault(Drop()), numbers),
            ("restarts", lambda number: manager.call("POST", f"/instances/{number.name}/restart"), numbers[:1]),
        ):
            for count, number in zip(range(RECONNECTS // 2 + 1), itertools.cycle(hit), strict=False):
                if count % (RECONNECTS // 4) == 0:
                    time.sleep(SETTLING_S)
                    print(f"after {count} {kind}: {usage_of_all(manager)}", flush=True)
                cut(number)
                marks[number] = await_connected(number, marks[number])["position"]
        print(f"the socket process was replaced {manager.log.read_text().count('host_recycled')} times")


def codes() -> None:
    """Codes that nobody scans."""
    with world("--qr-timeout", "1") as (_, manager, receiver):
        names = [f"r{number}" for number in range(SHOWN_AT_ONCE)]
        for name in names:
            manager.create(name, receiver.url())
        for round_ in range(1, CODES // SHOWN_AT_ONCE + 1):
            for name in names:
                while expired(manager, name) < round_:
                    time.sleep(0.05)
            while manager.host_pids():
                time.sleep(0.05)
            if round_ in (1, CODES // SHOWN_AT_ONCE // 2, CODES // SHOWN_AT_ONCE):
                time.sleep(SETTLING_S)
                print(f"after {round_ * SHOWN_AT_ONCE} codes: {usage_of_all(manager)}", flush=True)
            for name in names:
                manager.call("POST", f"/instances/{name}/restart")


def usage_of_all(manager: ManagerProcess) -> str:
    """The manager's, and that of each of its socket processes."""
    return f"manager {usage(manager.pid)}, socket processes {[usage(pid) for pid in manager.host_pids()]}"


def expired(manager: ManagerProcess, name: str) -> int:
    """How many codes of this number nobody has scanned."""
    losses = manager.events(name, "instance.disconnected")
    return sum(event["data"]["reason"] == "qr_expired" for event in losses)


def recycling() -> None:
    """How long a number is away while its socket process is replaced."""
    with world("--host-descriptors", "60") as (network, manager, receiver):
        numbers = [admit(network, manager, receiver) for _ in range(8)]
        while not any(moves(number) for number in numbers):
            manager.call("POST", f"/instances/{numbers[0].name}/restart")
            time.sleep(0.5)
        away: list[float] = []
        # The first may have moved with one of its restarts.
        for number in numbers[1:]:
            left = await_event(number, 0, lambda event: event["data"].get("cause") == "host_recycled")
            away.append(await_back(number, left["position"]) - moment(left))
        print(f"{len(away)} numbers moved, one after another; each away for {min(away):.2f} to {max(away):.2f} s")


def moves(number: Number) -> bool:
    return any(event["data"].get("cause") == "host_recycled" for event in all_events(number))


PARTS = {each.__name__: each for each in (matrix, herd, reconnects, codes, recycling)}

if __name__ == "__main__":
    for part in sys.argv[1:] or PARTS:
        print(f"\n== {part}", flush=True)
        PARTS[part]()
