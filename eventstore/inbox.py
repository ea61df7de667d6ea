"""What waits for a writer, and how those who wait for it are told what became of it."""

import threading
from collections import deque

from chatbot_erp.eventstore.errors import StoreClosed, StoreOverloaded
from chatbot_erp.eventstore.promise import wake
from chatbot_erp.eventstore.work import Append, Bounds, Outcomes, Work


class Inbox:
    """A bounded queue: any thread puts something in, the writer's takes it out."""

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self._queue: deque[Work] = deque()
        self._arrival = threading.Condition()
        self.is_closed = False
        """Nothing comes in any more; what is there may still be taken."""

    def __len__(self) -> int:
        return len(self._queue)

    def submit(self, work: Work) -> None:
        """Queue `work`. Raises StoreClosed, StoreOverloaded."""
        with self._arrival:
            if self.is_closed:
                raise StoreClosed
            if len(self._queue) >= self._bounds.queue:
                raise StoreOverloaded(len(self._queue))
            self._queue.append(work)
            if isinstance(work, Append) or not work.in_passing:
                self._arrival.notify()

    def wait(self, patience_s: float | None = None) -> bool:
        """Wait until something is queued, or the end has come; whether it is so."""
        with self._arrival:
            return bool(self._arrival.wait_for(lambda: self._queue or self.is_closed, patience_s))

    def take(self, most: int | None = None) -> list[Work]:
        """The next group, or up to so many, without what was cancelled; none when nothing waits."""
        group: list[Work] = []
        wanted = self._bounds.group if most is None else most
        with self._arrival:
            while self._queue and len(group) < wanted:
                work = self._queue.popleft()
                if isinstance(work, Append) or work.future.set_running_or_notify_cancel():
                    group.append(work)
        return group

    def close(self) -> None:
        """Let nothing in any more."""
        with self._arrival:
            self.is_closed = True
            self._arrival.notify()

    def refuse(self) -> None:
        """Let nothing in any more, and tell all who wait so."""
        self.close()
        while late := self.take():
            resolve([(work, StoreClosed()) for work in late])


def resolve(outcomes: Outcomes) -> None:
    """Tell each caller what became of its work."""
    for work, outcome in outcomes:
        if isinstance(work, Append):
            work.future.keep(outcome)
        elif isinstance(outcome, BaseException):
            work.future.set_exception(outcome)
        else:
            work.future.set_result(outcome)
    wake()
