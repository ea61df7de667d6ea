"""Opens sockets for the supervisor, and says whom the end of a process concerns. Used in the supervisor's thread only.

starts.py says when a socket's turn has come, hosts.py in which process it is.
"""

import time
from collections.abc import Callable

import structlog

from chatbot_erp.actors.commands import DoubtPending, LoseSocket
from chatbot_erp.actors.host_process import HostDeath
from chatbot_erp.actors.hosts import SocketHosts
from chatbot_erp.actors.house import House
from chatbot_erp.actors.leftovers import take_beside
from chatbot_erp.actors.phone_numbers import without_numbers
from chatbot_erp.actors.starts import Starts
from chatbot_erp.actors.tidings import PlaceSocket, StartsDue
from chatbot_erp.eventstore.lease import boot_time

log = structlog.get_logger()

READY_WAIT_S = 0.05
"""How soon it is asked again about what processes are forked from, while that is being loaded."""

LAPSED_WAIT_S = 0.5
"""How soon a node whose lease has lapsed looks again whether it may open something."""


FAREWELLS_AT_ONCE = 4
"""Devices that are being unlinked by a socket of their own: each has but some seconds, also where hundreds are removed."""


class Openings:
    """`tell(instance, message)` reaches the actor of an instance. When a turn has come the supervisor hears `StartsDue`."""

    def __init__(self, house: House, hosts: SocketHosts, tell: Callable[[str, object], None]) -> None:
        self._house = house
        self._hosts = hosts
        self._tell = tell
        self._starts = Starts(self._open, per_s=house.config.starts_per_s)
        self._parting: set[str] = set()
        self._are_due = False
        self._stopped = False

    def place(self, request: PlaceSocket) -> None:
        """Have this socket made when its turn has come."""
        self._starts.want(request)
        if not self._are_due:
            self._open_what_may()

    def go_on(self) -> None:
        """The time for the next ones has come."""
        self._are_due = False
        self._open_what_may()

    def forget(self, instance: str) -> PlaceSocket | None:
        """This instance wants no socket any more, but for its farewell if there is to be one; what waited for its turn."""
        return None if self.is_parting(instance) else self._starts.forget(instance)

    def is_parting(self, instance: str) -> bool:
        """Whether a socket is to unlink its device, or just does so: its session is erased then."""
        return instance in self._hosts.farewells or (instance in self._parting and self.has(instance))

    def has(self, instance: str) -> bool:
        """Whether it has a socket, or is about to get one."""
        return self._hosts.has(instance) or self._starts.has(instance)

    def stop(self) -> None:
        """Open nothing any more, and take the end of a process for what was wanted."""
        self._stopped = True

    def unlink_next(self) -> None:
        """Have the next devices unlinked, as far as others have been."""
        self._parting = {instance for instance in self._parting if self.has(instance)}
        farewells = self._hosts.farewells
        while farewells and len(self._parting) < FAREWELLS_AT_ONCE:
            request = farewells.pop(next(iter(farewells)))
            self._parting.add(request.instance)
            self.place(request)

    def report_unplaced(self) -> None:
        """Tell those for whom no process could be had."""
        unplaced, self._hosts.unplaced = self._hosts.unplaced, []
        if self._house.is_ending():
            # They have lost nothing: the next life begins where they are.
            return
        for request in unplaced:
            if not request.farewell:
                self._tell(request.instance, LoseSocket(generation=request.generation, cause="socket_failed"))
        for request in unplaced:
            if request.farewell:
                self._erase_linked(request)

    def _erase_linked(self, farewell: PlaceSocket) -> None:
        try:
            self._hosts.erase_linked(farewell)
        except Exception:
            # As where no thread can be had, either. The next life erases what is left.
            log.exception("a session stays for now", action="session_not_erased", instance=farewell.instance)
            self._house.tallies.count("supervisor_stumbles")

    def mourn(self, death: HostDeath) -> None:
        """A process has ended: tell its numbers, and take up what it has left."""
        if not self._stopped:
            self._report_lost(death)
            take_beside(self._house, death.name)
        # Only now may new sockets be opened: what is sent through them is not in doubt.
        self._hosts.gone(death.name)

    def _open_what_may(self) -> None:
        if self._stopped or self._starts.is_empty():
            return
        if boot_time() >= self._house.store.company.leased_until():
            # A process would end as soon as it begins, and each time be counted as a crash.
            wait_s: float | None = LAPSED_WAIT_S
        elif not self._house.is_ending() and not self._hosts.ready():
            wait_s = READY_WAIT_S
        else:
            wait_s = self._starts.go(time.monotonic())
        if wait_s is not None and not self._are_due:
            self._are_due = True
            self._house.alarms.set(wait_s, lambda: self._house.supervisor.tell(StartsDue()))

    def _open(self, request: PlaceSocket) -> bool:
        """Whether there was a process for it."""
        self._hosts.open(request)
        return not self._hosts.unplaced

    def _report_lost(self, death: HostDeath) -> None:
        cause, everyone = self._hosts.lost_with(death.name)
        lost = [each for each in everyone if not each.closing]
        if lost:
            log.warning(
                "a socket host died",
                action="host_died",
                host=death.name,
                exit_code=death.exit_code,
                signal=death.signal,
                numbers=len(lost),
                # An erasure reaches no log lines.
                stderr_tail=without_numbers(death.stderr_tail[-2000:]),
            )
            self._house.tallies.count("hosts_lost", cause)
        for each in everyone:
            # Nobody misses a socket that was being closed, but what was in mid-send in it has lost its reporter.
            told = DoubtPending(cause=cause) if each.closing else LoseSocket(generation=each.generation, cause=cause)
            self._tell(each.instance, told)
