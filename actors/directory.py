"""Who is here: names, ids, actors and what can be seen of them, for any thread.

Actors publish an immutable view after each change; readers take the latest one and never wait for an actor. QR and
pairing codes live here and in the actor's memory only.
"""

import time
from datetime import datetime
from threading import Lock
from typing import Any

import msgspec
import pykka

from chatbot_erp.actors.endpoint import Endpoints
from chatbot_erp.actors.errors import InstanceNotFound, NameTaken, Unavailable
from chatbot_erp.actors.pacing import UNPACED, Pacing
from chatbot_erp.actors.state import Account, Instance, Removed
from chatbot_erp.eventstore.events import Status


class Qr(msgspec.Struct, frozen=True, kw_only=True):
    """A QR text for the phone and the moment it lapses. A credential."""

    text: str
    expires_at: datetime

    def __repr__(self) -> str:
        return f"Qr(expires_at={self.expires_at!r})"


class InstanceView(msgspec.Struct, frozen=True, kw_only=True):
    """What can be seen of an instance at one moment."""

    id: str
    name: str
    status: Status
    reason: str | None
    since: datetime
    endpoints: Endpoints
    account: Account | None
    qr: Qr | None
    restarts: int
    retry_at: datetime | None = None
    """Before this moment WhatsApp wants to see no new attempt."""
    next_try_at: datetime | None = None
    """When the supervisor will have a new socket made."""
    pacing: Pacing = UNPACED
    pending: tuple[str, ...] = ()
    """Ids of the commands whose messages wait for a verdict."""

    @property
    def webhook_url(self) -> str:
        """Where its first endpoint is."""
        return self.endpoints[0].url


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One number: the actor that owns it, and what was last published (nothing before the first event)."""

    id: str
    name: str
    actor: pykka.ActorRef[Any]
    view: InstanceView | None = None
    endpoints: Endpoints = ()


class Directory:
    """Thread-safe; every method returns at once."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._entries: dict[str, Entry] = {}
        self._ids: dict[str, str] = {}
        self._missing: dict[str, str | None] = {}
        self._leaving: set[str] = set()
        self._came_at: dict[str, float] = {}
        """When it has come from another node: while it comes, at the latest. Of monotonic time."""

    def enter(self, instance: str, name: str, actor: pykka.ActorRef[Any], *, listed: bool = True) -> None:
        """Make the actor findable by id and, where `listed`, by name; a restarted actor takes its old place.

        Raises `NameTaken` if another instance has the name.
        """
        with self._lock:
            if listed and (self._ids.get(name, instance) != instance or name in self._missing.values()):
                raise NameTaken(name)
            known = self._entries.get(instance)
            self._entries[instance] = Entry(
                id=instance,
                name=name,
                actor=actor,
                view=known.view if known else None,
                endpoints=known.endpoints if known else (),
            )
            if listed:
                self._ids[name] = instance

    def publish(self, instance: str, state: Instance | Removed, qr: Qr | None) -> None:
        """Show the latest state; a removed instance gives its name back."""
        with self._lock:
            entry = self._entries.get(instance)
            if entry is None:
                return
            if isinstance(state, Removed):
                if self._ids.get(entry.name) == instance:
                    del self._ids[entry.name]
                self._entries[instance] = msgspec.structs.replace(entry, view=None, endpoints=state.endpoints)
                return
            view = InstanceView(
                id=instance,
                name=state.name,
                status=state.status,
                reason=state.reason,
                since=state.since,
                endpoints=state.endpoints,
                account=state.account,
                qr=qr,
                restarts=state.restarts,
                retry_at=state.retry_at,
                next_try_at=entry.view.next_try_at if entry.view else None,
                pacing=state.pacing,
                pending=state.pending,
            )
            self._entries[instance] = msgspec.structs.replace(entry, view=view, endpoints=state.endpoints)

    def plan(self, instance: str, next_try_at: datetime | None) -> None:
        """Show when it will be tried next, as far as that is planned."""
        with self._lock:
            entry = self._entries.get(instance)
            if entry is not None and entry.view is not None:
                view = msgspec.structs.replace(entry.view, next_try_at=next_try_at)
                self._entries[instance] = msgspec.structs.replace(entry, view=view)

    def miss(self, instance: str, name: str | None) -> None:
        """It cannot be brought back in this life: what belongs to it is kept, and nobody else gets its name."""
        with self._lock:
            self._missing[instance] = None if name in self._ids else name

    def missing(self) -> frozenset[str]:
        """The ids of those that could not be brought back."""
        with self._lock:
            return frozenset(self._missing)

    def part(self, instance: str) -> None:
        """It goes to another node: `is_leaving` says so of its name until it has left."""
        with self._lock:
            self._leaving.add(instance)

    def is_leaving(self, name: str) -> bool:
        """Whether the instance of this name is on its way to another node."""
        return self._ids.get(name) in self._leaving

    def come(self, instance: str, at_most_s: float) -> None:
        """It comes from another node: what is published of it is of before, until it has `came`, or for so long."""
        with self._lock:
            self._leaving.discard(instance)
            self._came_at[instance] = time.monotonic() + at_most_s

    def came(self, instance: str) -> None:
        """What is published of it is true again. Harmless for one that did not come, or is here already."""
        with self._lock:
            if self._is_coming(instance):
                self._came_at[instance] = time.monotonic()

    def is_coming(self, name: str) -> bool:
        """Whether what can be seen of this name is of before it came."""
        return self._is_coming(self._ids.get(name, ""))

    def is_opening(self, name: str, within_s: float) -> bool:
        """Whether the instance of this name came so lately that its connection may still be on its way."""
        entry = self._entries.get(self._ids.get(name, ""))
        if entry is None or entry.view is None or entry.view.status is not Status.INITIALIZING:
            return False
        return time.monotonic() - self._came_at.get(entry.id, -within_s) < within_s

    def has(self, name: str) -> bool:
        """Whether an instance of this name is here, also one that could not be brought back."""
        with self._lock:
            return name in self._ids or name in self._missing.values()

    def leave(self, instance: str) -> None:
        """Forget the instance altogether."""
        with self._lock:
            self._leaving.discard(instance)
            self._came_at.pop(instance, None)
            self._missing.pop(instance, None)
            entry = self._entries.pop(instance, None)
            if entry is not None and self._ids.get(entry.name) == instance:
                del self._ids[entry.name]

    def actor(self, instance: str) -> pykka.ActorRef[Any] | None:
        """The actor of this id, also of one that is removed and still delivers."""
        entry = self._entries.get(instance)
        return entry.actor if entry else None

    def endpoints(self, instance: str) -> Endpoints:
        """Where to deliver, also for an instance that is removed; none if nothing is known of it."""
        entry = self._entries.get(instance)
        return entry.endpoints if entry else ()

    def find(self, name: str) -> Entry:
        """The instance of this name. Raises `InstanceNotFound`; `Unavailable` for one that could not be brought back."""
        with self._lock:
            instance = self._ids.get(name)
            if name in self._missing.values():
                raise Unavailable(f"What the log says of {name!r} cannot be read: the manager's own log says why.")
            if instance is None:
                raise InstanceNotFound(f"There is no instance named {name!r}.")
            return self._entries[instance]

    def view(self, name: str) -> InstanceView:
        """What can be seen of this name. Raises `InstanceNotFound`, also while it is still being created."""
        view = self.find(name).view
        if view is None:
            raise InstanceNotFound(f"There is no instance named {name!r}.")
        return view

    def seen(self, instance: str) -> InstanceView | None:
        """What can be seen of this id; nothing of one that is removed or being made."""
        entry = self._entries.get(instance)
        return entry.view if entry else None

    def views(self, *, coming: bool = True) -> list[InstanceView]:
        """All instances that have a name, by name; or without those of which what can be seen is of before they came."""
        with self._lock:
            entries = [self._entries[each] for each in self._ids.values() if coming or not self._is_coming(each)]
        return sorted((entry.view for entry in entries if entry.view is not None), key=lambda view: view.name)

    def _is_coming(self, instance: str) -> bool:
        return self._came_at.get(instance, 0.0) > time.monotonic()
