"""When the manager's process ends by itself."""

import math
from collections.abc import Iterator

from chatbot_erp.actors.serve import PULSE_PATIENCE_S, await_end


class Turns:
    """Waits that take as long as the test says, each on a clock of its own; then a signal comes."""

    def __init__(self, *took_s: float) -> None:
        self._took_s: Iterator[float] = iter(took_s)
        self.now = 0.0

    def wait(self, timeout: float, /) -> bool:
        took_s = next(self._took_s, math.inf)
        if took_s < math.inf:
            self.now += took_s
        return took_s == math.inf

    def clock(self) -> float:
        return self.now


def test_a_signal_ends_it() -> None:
    turns = Turns(2, 2)
    assert await_end(turns, lambda: 0.1, turns.clock)


def test_a_supervisor_that_hangs_ends_it_for_somebody_to_start_it_anew() -> None:
    turns = Turns(2, 2, 2)
    assert not await_end(turns, lambda: PULSE_PATIENCE_S + 1, turns.clock)


def test_a_process_that_was_held_up_as_a_whole_gives_its_supervisor_another_turn() -> None:
    turns = Turns(2, 600, 2)
    assert await_end(turns, lambda: 600.0 if turns.now == 602 else 0.1, turns.clock)
