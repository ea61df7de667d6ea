"""Where an instance's events go: its endpoints, what may be asked of them, and the fold of what became of it.

The first endpoint, `main`, is the instance's `webhookUrl` and lives as long as it does. Each has its own deliveries,
retries, secret and breaker; what one receiver does costs the others nothing.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Literal, assert_never

import msgspec
from msgspec import UNSET, UnsetType

from chatbot_erp.actors.errors import BadEndpoint, EndpointNotFound
from chatbot_erp.actors.webhook_shapes import KINDS
from chatbot_erp.eventstore.events import (
    EndpointConfigured,
    EndpointDisabled,
    EndpointEnabled,
    EndpointRemoved,
    EndpointReplayed,
    EndpointSecretRotated,
    Event,
    WebhookUrlChanged,
)
from chatbot_erp.eventstore.records import MAIN, Redelivery

MOST_ENDPOINTS = 8
"""Of one instance: each is a thread and a connection."""

REJECT_AFTER_S = 600.0
"""How long the receiver may reject one event before those behind it go on without it."""

Order = Literal["instance", "chat"]
Why = Literal["gone", "failing", "requested"]


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """One receiver and how it wants to be told. `since` is when the last one of its settings changed."""

    id: str
    url: str
    since: datetime
    events: tuple[str, ...] = ()
    """The kinds that it is told; none is all of them."""
    order: Order = "instance"
    headers: tuple[str, ...] = ()
    """Names of headers that go along; their values are in the vault."""
    paused: bool = False
    retry_for_s: float | None = None
    """How long an event is tried; None is the manager's `--webhook-retry-for`."""
    reject_after_s: float = REJECT_AFTER_S
    disabled: Why | None = None
    old_secret_until: datetime | None = None

    @property
    def open(self) -> bool:
        """Whether anything is posted."""
        return not self.paused and self.disabled is None


Endpoints = tuple[Endpoint, ...]


class ConfigureEndpoint(msgspec.Struct, frozen=True, kw_only=True):
    """Change these of an endpoint's settings; one that is not there yet is made, and needs a URL."""

    endpoint: str
    url: str | UnsetType = UNSET
    events: tuple[str, ...] | UnsetType = UNSET
    order: Order | UnsetType = UNSET
    headers: tuple[str, ...] | UnsetType = UNSET
    paused: bool | UnsetType = UNSET
    retry_for_s: float | None | UnsetType = UNSET
    reject_after_s: float | UnsetType = UNSET


class RemoveEndpoint(msgspec.Struct, frozen=True, kw_only=True):
    """End an endpoint and forget what waits for it. Not the first one."""

    endpoint: str


class DisableEndpoint(msgspec.Struct, frozen=True, kw_only=True):
    """Post nothing there until it is enabled. With `since` it speaks of settings as old as that, and of none since."""

    endpoint: str
    reason: Why
    since: datetime | None = None


class EnableEndpoint(msgspec.Struct, frozen=True, kw_only=True):
    """Go on where it stopped, at once."""

    endpoint: str


class NoteRotation(msgspec.Struct, frozen=True, kw_only=True):
    """The vault has a new secret; the old one signs too for a while."""

    endpoint: str
    old_until: datetime


class TellAgain(msgspec.Struct, frozen=True, kw_only=True):
    """Deliver these once more; the rest says what was asked for."""

    endpoint: str
    after: int
    until: int
    events: tuple[str, ...]
    dead: bool
    deliveries: tuple[Redelivery, ...]


EndpointCommand = ConfigureEndpoint | RemoveEndpoint | DisableEndpoint | EnableEndpoint | NoteRotation | TellAgain


def recipients(endpoints: Endpoints, event: Event) -> tuple[str, ...]:
    """The endpoints that are to be told of an event, if anybody is."""
    kind = KINDS.get(type(event))
    return tuple([endpoint.id for endpoint in endpoints if not endpoint.events or kind in endpoint.events])


def find(endpoints: Iterable[Endpoint], wanted: str) -> Endpoint | None:
    """The endpoint of this id."""
    return next((endpoint for endpoint in endpoints if endpoint.id == wanted), None)


def decide_endpoint(endpoints: Endpoints, command: EndpointCommand) -> tuple[Event, ...]:
    """What happens when `command` meets an instance with these endpoints. Raises `EndpointNotFound`, `BadEndpoint`."""
    present = find(endpoints, command.endpoint)
    if isinstance(command, ConfigureEndpoint):
        return configure(endpoints, present, command)
    if present is None:
        raise EndpointNotFound(f"There is no endpoint {command.endpoint!r}.")
    match command:
        case RemoveEndpoint(endpoint=endpoint):
            if endpoint == MAIN:
                raise BadEndpoint("The first endpoint stays as long as its instance; it can be paused or disabled.")
            return (EndpointRemoved(endpoint=endpoint),)
        case DisableEndpoint(since=since) if present.disabled is not None or since not in (None, present.since):
            return ()
        case DisableEndpoint(endpoint=endpoint, reason=reason):
            return (EndpointDisabled(endpoint=endpoint, reason=reason),)
        case EnableEndpoint(endpoint=endpoint):
            # Also where it is enabled: whoever says that the receiver works again wants it tried now.
            return (EndpointEnabled(endpoint=endpoint),)
        case NoteRotation(endpoint=endpoint, old_until=old_until):
            return (EndpointSecretRotated(endpoint=endpoint, old_until=old_until),)
        case TellAgain(endpoint=endpoint):
            return (
                EndpointReplayed(
                    endpoint=endpoint,
                    after=command.after,
                    until=command.until,
                    events=command.events,
                    dead=command.dead,
                    count=len(command.deliveries),
                ),
            )
        case _:
            assert_never(command)


def configure(endpoints: Endpoints, present: Endpoint | None, command: ConfigureEndpoint) -> tuple[Event, ...]:
    """The new settings in full, unless they are the old ones."""
    if present is None and command.url is UNSET:
        raise EndpointNotFound(f"There is no endpoint {command.endpoint!r}; a new one needs a URL.")
    if present is None and len(endpoints) >= MOST_ENDPOINTS:
        raise BadEndpoint(f"An instance has at most {MOST_ENDPOINTS} endpoints.")
    old = (
        settings(present)
        if present
        else EndpointConfigured(
            endpoint=command.endpoint,
            url="",
            events=(),
            order="instance",
            headers=(),
            paused=False,
            retry_for_s=None,
            reject_after_s=REJECT_AFTER_S,
        )
    )
    given = {name: value for name, value in msgspec.structs.asdict(command).items() if value is not UNSET}
    new = msgspec.structs.replace(old, **given)
    # New header values are none of the log's business, but the receiver is to be tried with them at once.
    return () if new == old and command.headers is UNSET else (new,)


def settings(endpoint: Endpoint) -> EndpointConfigured:
    """An endpoint's settings as an event has them."""
    return EndpointConfigured(
        endpoint=endpoint.id,
        url=endpoint.url,
        events=endpoint.events,
        order=endpoint.order,
        headers=endpoint.headers,
        paused=endpoint.paused,
        retry_for_s=endpoint.retry_for_s,
        reject_after_s=endpoint.reject_after_s,
    )


def evolve_endpoints(endpoints: Endpoints, event: Event, at: datetime) -> Endpoints:
    """The endpoints after `event`; most events are none of theirs."""
    match event:
        case WebhookUrlChanged(webhook_url=url):
            return with_changes(endpoints, MAIN, url=url, disabled=None, since=at)
        case EndpointConfigured(endpoint=wanted):
            former = find(endpoints, wanted)
            moved = former is None or former.url != event.url
            changed = Endpoint(
                id=wanted,
                url=event.url,
                since=at,
                events=event.events,
                order=event.order,
                headers=event.headers,
                paused=event.paused,
                retry_for_s=event.retry_for_s,
                reject_after_s=event.reject_after_s,
                # Whoever names another address wants it used.
                disabled=None if moved or former is None else former.disabled,
                old_secret_until=former.old_secret_until if former else None,
            )
            if former is None:
                return (*endpoints, changed)
            return tuple(changed if each.id == wanted else each for each in endpoints)
        case EndpointRemoved(endpoint=wanted):
            return tuple(each for each in endpoints if each.id != wanted)
        case EndpointDisabled(endpoint=wanted, reason=reason):
            return with_changes(endpoints, wanted, disabled=reason, since=at)
        case EndpointEnabled(endpoint=wanted):
            return with_changes(endpoints, wanted, disabled=None, since=at)
        case EndpointSecretRotated(endpoint=wanted, old_until=old_until):
            return with_changes(endpoints, wanted, old_secret_until=old_until)
        case _:
            return endpoints


def with_changes(endpoints: Endpoints, wanted: str, **changes: object) -> Endpoints:
    """The endpoints, with one of them changed."""
    return tuple(msgspec.structs.replace(each, **changes) if each.id == wanted else each for each in endpoints)
