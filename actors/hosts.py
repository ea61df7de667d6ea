"""Which socket host carries which instance. Owned by the supervisor and used in its thread only.

A session that is paired shares a host with others; one that is still to be paired has a host to itself, because the
library cannot be stopped cleanly while it shows a QR (the whole host is ended instead). A session file is never open
twice: a new socket waits until the old one is said to be closed.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from threading import Thread
from uuid import uuid4

import msgspec
import structlog

from chatbot_erp.actors import frames
from chatbot_erp.actors.ending import shares
from chatbot_erp.actors.host_process import HostProcess
from chatbot_erp.actors.house import HostGone, Switchboard
from chatbot_erp.actors.sessions import Sessions
from chatbot_erp.actors.tidings import PlaceSocket
from chatbot_erp.eventstore.errors import StoreError

log = structlog.get_logger()

CLOSE_PATIENCE_S = 20.0
"""A socket that has not closed by then takes its host with it, unless others live there."""

DIAL_PATIENCE_S = 80.0
"""By then it does so in any case. One whose dial hangs closes by itself when that is over, after 60 s."""

SILENCE_S = 10.0
"""A host that has said nothing for so long hangs (it says `Alive` every 2 s)."""

LATE_S = 5.0
"""A look that comes so late says that this process was held up itself: then nobody's silence counts for a while."""

ENDING_S = 20.0
"""A host whose last number has left spools, to a sick disk perhaps, what the log does not take. Nobody waits for it."""


LEFT = "a device that could not be unlinked stays on the phone of its owner, who can remove it there"


@dataclass(slots=True)
class Slot:
    """The place of one instance in a host."""

    host: HostProcess
    generation: int
    opened_at: float
    pairing: bool
    closing_since: float | None = None
    erase: bool = False
    unlink: bool = False
    farewell: PlaceSocket | None = None
    """The socket to be made when this one is closed and has not unlinked the device."""


@dataclass(frozen=True, slots=True)
class Carried:
    """An instance whose socket a host has, or had when it went down; `closing` if that was wanted already."""

    instance: str
    generation: int
    age_s: float = 0.0
    pairing: bool = False
    closing: bool = False


class SocketHosts:
    """All hosts and slots of this manager."""

    def __init__(
        self,
        *,
        sessions: Sessions,
        numbers_per_host: int,
        ping: bool,
        switchboard: Switchboard,
        spawn: Callable[[str], HostProcess],
        ready: Callable[[], bool] = lambda: True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`ready` says whether it is known what `spawn` would do, for which nobody waits: it has a host, or raises `OSError`."""
        self._sessions = sessions
        self._capacity = numbers_per_host
        self._ping = ping
        self._switchboard = switchboard
        self._spawn = spawn
        self.ready = ready
        self._clock = clock
        self._shared: dict[str, HostProcess] = {}
        self._pairing: dict[str, HostProcess] = {}
        self._slots: dict[str, Slot] = {}
        self._wanted: dict[str, PlaceSocket] = {}
        self._leaving: dict[str, tuple[HostProcess, float]] = {}
        self._hung: set[str] = set()
        self._retiring: set[str] = set()
        self._homes: dict[str, str] = {}
        """Where each session was last: the library never closes all of its handles, so it goes back there if it can."""
        self._looked_at = self._clock()
        self._heard_since = self._looked_at
        self.unplaced: list[PlaceSocket] = []
        """Requests for which no process could be had; whoever reads them takes them out."""
        self.farewells: dict[str, PlaceSocket] = {}
        """Sockets to be made to unlink a device, in order; whoever opens one takes it out. Its session is kept until then."""

    def open(self, request: PlaceSocket) -> None:
        """Make the socket, as soon as no older one has its session open."""
        slot = self._slots.get(request.instance)
        if slot is not None:
            if slot.closing_since is not None or slot.generation < request.generation:
                self._wanted[request.instance] = request
                self._close(request.instance, slot, unlink=False)
            return
        if request.session_from is not None:
            former = self._wanted.get(request.session_from)
            if request.session_from in self._slots or (former is not None and former.kept):
                self._wanted[request.instance] = request
                return
            try:
                self._sessions.adopt(request.session_from, request.instance)
            except StoreError as ex:
                log.error("no session for a socket", action="not_adopted", instance=request.instance, error=str(ex))
                if not request.kept:
                    self.unplaced.append(request)
                    return
        if request.kept:
            self._open_waiting(request.instance)
        else:
            self._place(request)

    def close(
        self,
        instance: str,
        *,
        unlink: bool = False,
        erase: bool = False,
        farewell: PlaceSocket | None = None,
        waiting: PlaceSocket | None = None,
        for_good: bool = False,
    ) -> None:
        """End the socket; then, with `erase`, its session. `waiting` is a request of its that is not to be made any more;
        where that is so `for_good`, it takes over the session that it was to have all the same.

        With `unlink` the device is unlinked before. Where this socket cannot, or there is none, `farewell` is to be made
        for that, once, and not where this one took too long to close.
        """
        waiting = self._wanted.pop(instance, waiting)
        slot = self._slots.get(instance)
        if slot is not None:
            slot.erase = slot.erase or erase
            slot.unlink = slot.unlink or unlink
            if farewell is not None and slot.generation < farewell.generation:
                slot.farewell = farewell
            self._close(instance, slot, unlink=unlink)
        elif farewell is not None:
            self.farewells[instance] = farewell
        elif erase:
            self._sessions.erase(instance)
        elif waiting is not None and (for_good or waiting.kept):
            # The next of its name looks for the session with this one, and where it was before with nobody.
            self.open(msgspec.structs.replace(waiting, kept=True))

    def erase_linked(self, farewell: PlaceSocket) -> None:
        """No socket can be had to unlink this device: its session is erased all the same, also if another's it still is."""
        log.warning(LEFT, action="device_left", instance=farewell.instance)
        if farewell.session_from is not None:
            self._sessions.erase(farewell.session_from)
        self._sessions.erase(farewell.instance)

    def closed(self, instance: str, host: str, *, unlinked: bool = False) -> None:
        """The host says that it has let go of the session, and whether the device was unlinked."""
        slot = self._slots.get(instance)
        if slot is not None and slot.host.name == host:
            self._free(instance, slot, unlinked=unlinked)
            self._end_if_empty(slot.host)

    def set_aside(self, instance: str) -> None:
        """Its actor is gone, to another node: have every host write down, for that one, what it has in hand of it."""
        for host in self.processes():
            self._order(host, frames.SetAside(instance=instance))

    def lost_with(self, name: str) -> tuple[str, list[Carried]]:
        """What to say of the end of this host: the cause, and whose sockets it takes with it. `gone` is to follow."""
        lost = [
            Carried(instance, slot.generation, closing=slot.closing_since is not None)
            for instance, slot in self._slots.items()
            if slot.host.name == name
        ]
        return "host_hung" if name in self._hung else "host_died", lost

    def gone(self, name: str) -> None:
        """A host process ended: let go of its slots, and open what waited for one of them."""
        self._shared.pop(name, None)
        self._pairing.pop(name, None)
        self._leaving.pop(name, None)
        self._hung.discard(name)
        self._retiring.discard(name)
        self._homes = {instance: home for instance, home in self._homes.items() if home != name}
        for instance, slot in list(self._slots.items()):
            if slot.host.name == name:
                self._free(instance, slot)

    def has(self, instance: str) -> bool:
        """Whether a socket is open, or about to be."""
        return instance in self._slots or instance in self._wanted

    def sessions(self) -> set[str]:
        """Whose sessions are kept."""
        return self._sessions.instances()

    def open_slots(self) -> list[Carried]:
        """Instances with a socket that nobody is closing."""
        now = self._clock()
        return [
            Carried(instance, slot.generation, now - slot.opened_at, slot.pairing)
            for instance, slot in self._slots.items()
            if slot.closing_since is None
        ]

    def shared(self) -> list[HostProcess]:
        """Hosts that carry paired numbers and get new ones."""
        return [host for name, host in self._shared.items() if name not in self._retiring | self._hung]

    def retire(self, name: str) -> None:
        """Give this host no more numbers; it ends when the last one has left."""
        self._retiring.add(name)

    def carried_by(self, name: str) -> list[str]:
        """Whose sockets are in this host and are not being closed."""
        return [
            instance for instance, slot in self._slots.items() if slot.host.name == name and slot.closing_since is None
        ]

    def look(self) -> None:
        """End hosts whose main loop has stopped, whose sockets do not close, or that do not end; `gone` follows."""
        now = self._clock()
        if now - self._looked_at > LATE_S:
            self._heard_since = now
        self._looked_at = now
        stuck = self._stuck(now)
        for host in self.processes():
            if host.name in self._hung:
                continue
            is_silent = now - max(host.last_alive, self._heard_since) > SILENCE_S
            if is_silent or host.name in stuck:
                log.warning("a socket host hangs", action="host_hung", host=host.name, pid=host.pid)
                self._hung.add(host.name)
                # One that only waits for a socket can still spool what its other numbers have in hand.
                host.kill() if is_silent else host.give_up()
        for host, since in self._leaving.values():
            if now - since > ENDING_S:
                host.kill()

    def _stuck(self, now: float) -> set[str]:
        """Hosts in which a socket does not close, where nothing else can be done about it, or nobody else is hurt."""
        waits: dict[str, list[float]] = {}
        for slot in self._slots.values():
            since = now if slot.closing_since is None else slot.closing_since
            waits.setdefault(slot.host.name, []).append(now - since)
        return {name for name, each in waits.items() if min(each) > CLOSE_PATIENCE_S or max(each) > DIAL_PATIENCE_S}

    def processes(self) -> list[HostProcess]:
        """Hosts that carry numbers."""
        return [*self._shared.values(), *self._pairing.values()]

    def vitals(self) -> tuple[frames.Alive, ...]:
        """What the hosts last said of themselves."""
        return tuple(host.vitals for host in self.processes() if host.vitals is not None)

    def end_all(self, until: float) -> None:
        """End every host without logout; wait until this moment of monotonic time, no longer where one hangs."""
        everyone = [*self.processes(), *(host for host, _ in self._leaving.values())]
        enders = [Thread(target=host.end, args=shares(until - self._clock())) for host in everyone]
        self._wanted.clear()
        self.farewells.clear()
        for slot in self._slots.values():
            slot.farewell = None
        for ender in enders:
            ender.start()
        for ender in enders:
            ender.join()

    def _place(self, request: PlaceSocket) -> None:
        if self.unplaced:
            # Finding out that there is none may take a minute: nobody waits for that again and again.
            self.unplaced.append(request)
            return
        try:
            host = self._new(self._pairing) if request.pairing else self._roomy(request.instance)
        except OSError as ex:
            if not isinstance(ex, InterruptedError):  # the end has come
                log.error("no process for a socket", action="host_not_born", instance=request.instance, error=str(ex))
            self.unplaced.append(request)
            return
        self._slots[request.instance] = Slot(host, request.generation, self._clock(), request.pairing)
        self._homes[request.instance] = host.name
        self._switchboard.plug(request.instance, host)
        order = frames.OpenSocket(
            instance=request.instance,
            generation=request.generation,
            session=self._sessions.place(request.instance),
            pairing=request.pairing,
            ping=self._ping and not request.farewell,
        )
        self._order(host, order)
        if request.farewell:
            self.close(request.instance, unlink=True, erase=True)

    def _roomy(self, instance: str) -> HostProcess:
        load = dict.fromkeys((host.name for host in self.shared()), 0)
        for slot in self._slots.values():
            if slot.host.name in load:
                load[slot.host.name] += 1
        roomy = [name for name, count in load.items() if count < self._capacity]
        if not roomy:
            return self._new(self._shared)
        home = self._homes.get(instance)
        return self._shared[home if home in roomy else max(roomy, key=load.__getitem__)]

    def _new(self, kind: dict[str, HostProcess]) -> HostProcess:
        host = self._spawn(str(uuid4()))
        kind[host.name] = host
        return host

    def _close(self, instance: str, slot: Slot, *, unlink: bool) -> None:
        if slot.closing_since is None:
            slot.closing_since = self._clock()
            self._order(slot.host, frames.CloseSocket(instance=instance, unlink=unlink))

    def _free(self, instance: str, slot: Slot, *, unlinked: bool = False) -> None:
        del self._slots[instance]
        self._switchboard.unplug(instance)
        in_time = slot.closing_since is None or self._clock() - slot.closing_since < CLOSE_PATIENCE_S
        if slot.farewell is not None and not unlinked and in_time:
            self.farewells[instance] = slot.farewell
            return
        if slot.erase:
            self._sessions.erase(instance)
        if unlinked:
            log.info("a device is unlinked", action="device_unlinked", instance=instance)
        elif slot.unlink and not slot.pairing:
            log.warning(LEFT, action="device_left", instance=instance)
        self._open_waiting(instance)

    def _open_waiting(self, instance: str) -> None:
        for waiting in [r for r in self._wanted.values() if instance in (r.instance, r.session_from)]:
            del self._wanted[waiting.instance]
            self.open(waiting)

    def _end_if_empty(self, host: HostProcess) -> None:
        if any(slot.host is host for slot in self._slots.values()):
            return
        self._shared.pop(host.name, None)
        self._pairing.pop(host.name, None)
        self._leaving[host.name] = (host, self._clock())
        self._order(host, frames.EndHost())

    def _order(self, host: HostProcess, order: frames.Order) -> None:
        try:
            host.order(order)
        except HostGone:
            log.debug("host gone before an order", action="order_missed", host=host.name)
