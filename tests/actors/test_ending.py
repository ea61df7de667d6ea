"""How long the orderly end may take, and who has how much of it."""

import itertools
import subprocess
import sys
from pathlib import Path
from threading import Event, Thread
from types import FrameType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatbot_erp.actors.assembly import Surroundings, open_house
from chatbot_erp.actors.config import Config
from chatbot_erp.actors.ending import ACTORS_S, END_S, EXIT_HANGS, HOSTS_S, REQUESTS_S, Ending, shares
from fake_sockets import PATIENCE_S


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_there_is_one_deadline_whatever_a_part_takes_of_it() -> None:
    clock = Clock()
    ending = Ending(clock)
    assert ending.until(REQUESTS_S) == 1000.0 + REQUESTS_S
    clock.now += 10.0
    assert ending.until(END_S) == 1000.0 + END_S
    assert ending.left_s(END_S) == END_S - 10.0
    clock.now += 600.0
    assert ending.left_s(END_S) == 0.0


def test_who_is_told_to_end_while_it_starts_has_all_the_time_when_it_has_started() -> None:
    clock = Clock()
    ending = Ending(clock)
    ending.set()
    clock.now += 600.0
    assert ending.until(END_S) == clock.now + END_S


def test_a_start_that_fails_takes_nothing_of_the_time_of_the_end(tmp_path: Path) -> None:
    (tmp_path / "spool" / "unreadable.spool").mkdir(parents=True)
    clock = Clock()
    ending = Ending(clock)
    with (
        pytest.raises(IsADirectoryError),
        open_house(Config(data_dir=tmp_path), Surroundings(environment={}, prelude=None), ending=ending),
    ):
        pass
    clock.now += 3600.0
    assert ending.left_s(END_S) == END_S


def test_a_signal_at_whatever_step_of_a_wait_is_heeded() -> None:
    """A handler runs between two steps of what it interrupts, which goes on holding what it holds."""

    def wait(place: int, heeded: list[bool]) -> None:
        ending, steps = Ending(), itertools.count()

        def step(frame: FrameType, event: str, argument: object) -> Any:
            frame.f_trace_opcodes = True
            if event == "opcode" and next(steps) == place:
                sys.settrace(None)
                ending.set()
                heeded.append(ending.is_set())
            return step

        sys.settrace(step)
        try:
            ending.wait(0.001)
        finally:
            sys.settrace(None)

    for place in itertools.count():
        heeded: list[bool] = []
        waiter = Thread(target=wait, args=(place, heeded), daemon=True)
        waiter.start()
        waiter.join(PATIENCE_S)
        assert not waiter.is_alive(), f"hangs at step {place}"
        if not heeded:
            break
    assert place > 10, "it is interrupted at every step there is"


def test_who_waits_for_the_end_is_woken_by_it() -> None:
    ending, woken = Ending(), Event()

    def wait() -> None:
        ending.wait(3600.0)
        woken.set()

    Thread(target=wait, daemon=True).start()
    ending.set()
    assert woken.wait(PATIENCE_S)
    assert ending.wait(3600.0), "and whoever comes later"


def test_each_part_ends_before_the_next_and_all_of_it_within_30_s() -> None:
    assert 0 < REQUESTS_S < HOSTS_S < ACTORS_S < END_S < 30


@given(st.floats(-10.0, 100.0))
def test_a_host_never_has_more_than_there_is(left_s: float) -> None:
    in_order_s, spooling_s = shares(left_s)
    assert min(in_order_s, spooling_s) >= 0.0
    assert abs(in_order_s + spooling_s - max(0.0, left_s)) < 1e-9


def test_an_end_that_hangs_is_one_all_the_same(tmp_path: Path) -> None:
    """The whole program is told to end as soon as it listens, and then something does not return for an hour."""
    program = """
import os, signal, sys
from pathlib import Path
from threading import Event
from chatbot_erp.actors import ending
from chatbot_erp.actors.config import Config
from chatbot_erp.actors.manager import Manager
from chatbot_erp.actors.serve import run

ending.END_S = 0.1
Manager.join = lambda manager, url: os.kill(os.getpid(), signal.SIGTERM)
Manager.drain = lambda manager: Event().wait(3600)
run(Config(data_dir=Path(sys.argv[1]), port=0), sandbox=False, sandbox_network=None)
"""
    ended = subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=False, timeout=600)
    assert ended.returncode == EXIT_HANGS


def test_a_signal_that_comes_when_all_is_over_changes_nothing_about_a_good_end(tmp_path: Path) -> None:
    """Python takes its handlers away before the process is gone."""
    program = """
import os, signal, sys
from pathlib import Path
from chatbot_erp.actors.config import Config
from chatbot_erp.actors.manager import Manager
from chatbot_erp.actors.serve import run

Manager.join = lambda manager, url: os.kill(os.getpid(), signal.SIGTERM)
class Last:
    def __del__(self, kill=os.kill, me=os.getpid(), number=signal.SIGTERM):
        kill(me, number)
sys.last = Last()
sys.exit(run(Config(data_dir=Path(sys.argv[1]), port=0), sandbox=False, sandbox_network=None))
"""
    ended = subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=False, timeout=600)
    assert ended.returncode == 0
