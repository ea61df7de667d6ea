"""The JSON of the calls about deliveries."""

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from chatbot_erp.actors import pacing as pace
from chatbot_erp.actors.endpoint import ConfigureEndpoint, Order, Why
from chatbot_erp.actors.webhook_control import MOST_AGAIN, Again, Look
from chatbot_erp.actors.webhook_holds import BREAKER_AFTER
from chatbot_erp.eventstore.records import LARGEST_POSITION, Attempt, DeadLetter
from chatbot_erp.http.bodies import nothing_to_change
from chatbot_erp.http.payloads import Id, Moment, Pacing, Payload, Url

BEHIND = "What waits behind an event that fails: all, or its chat."
PAUSED = "Nothing is posted; what happens meanwhile waits."
RETRIED = "Seconds that an event is retried; null: `--webhook-retry-for`."
REJECTED = "Seconds that an event which the receiver rejects (4xx) may hold up those behind it."
Kinds = Annotated[list[str], Meta(description="Which events are told; none is all.", examples=[["message.received"]])]
Position = Annotated[int, Meta(ge=1, le=LARGEST_POSITION)]


class EndpointChange(Payload, frozen=True, kw_only=True):
    """How an endpoint is to be told; what is left out stays."""

    url: Url | UnsetType = UNSET
    events: Kinds | UnsetType = UNSET
    order: Annotated[Order, Meta(description=BEHIND)] | UnsetType = UNSET
    headers: (
        Annotated[
            dict[str, str],
            Meta(description="Sent along, in place of all given before. Values are kept secret and never shown."),
        ]
        | UnsetType
    ) = UNSET
    paused: Annotated[bool, Meta(description=PAUSED)] | UnsetType = UNSET
    retry_for_s: Annotated[float | None, Meta(description=RETRIED)] | UnsetType = UNSET
    reject_after_s: Annotated[float, Meta(description=REJECTED)] | UnsetType = UNSET


def check_change(change: EndpointChange) -> None:
    """Raises `RequestRefused` where nothing is named that an endpoint has: a misspelt setting would look like a done one."""
    if change == EndpointChange():
        fields = [field.encode_name for field in msgspec.structs.fields(EndpointChange)]
        raise nothing_to_change("It can be changed.", *fields)


class ChangeRequest(Payload, frozen=True, kw_only=True):
    """What is to be different about an instance; what is left out stays."""

    webhook_url: Url | UnsetType = UNSET
    webhook: EndpointChange | UnsetType = UNSET
    pacing: Annotated[
        Pacing | None | UnsetType, Meta(description="How fast it sends; null: as fast as it is told to.")
    ] = UNSET


class Cursor(Payload, frozen=True, kw_only=True):
    """How far an endpoint has come."""

    sequence: Annotated[int, Meta(description="Everything up to this number is settled.")]
    latest: Annotated[int, Meta(description="The last number that the instance has given.")]


class DeliveryAttempt(Payload, frozen=True, kw_only=True):
    """One try to deliver an event."""

    sequence: Annotated[int | None, Meta(description="The event's number; null for a test.")]
    at: Annotated[Moment, Meta(description="When it was made.")]
    duration_ms: Annotated[int, Meta(description="How long it took, in milliseconds.")]
    http_status: Annotated[int | None, Meta(description="What the receiver answered; null where nothing came.")]
    error: Annotated[str, Meta(description="Class of the failure; empty when it went well.", examples=["timeout"])]
    address: Annotated[str, Meta(description="What was dialled; empty if nothing was.", examples=["203.0.113.7:443"])]
    answer: Annotated[str, Meta(description="The first KiB of the receiver's answer.")]


class WebhookDetails(Payload, frozen=True, kw_only=True):
    """An endpoint: its settings, and how its deliveries stand."""

    endpoint: Annotated[str, Meta(description="Its id; `main` is the one that webhookUrl leads to.")]
    endpoints: Annotated[list[str], Meta(description="All of the instance's endpoints.")]
    url: Url
    events: Kinds
    order: Annotated[Order, Meta(description=BEHIND)]
    headers: Annotated[list[str], Meta(description="The names; values are never shown.")]
    paused: Annotated[bool, Meta(description=PAUSED)]
    retry_for_s: Annotated[float | None, Meta(description=RETRIED)]
    reject_after_s: Annotated[float, Meta(description=REJECTED)]
    disabled: Annotated[
        Why | None, Meta(description="Why nothing is posted: it answered 410, failed for 5 days, or was disabled.")
    ]
    since: Annotated[Moment, Meta(description="When a setting last changed.")]
    old_secret_until: Annotated[
        Moment | None,
        Meta(description="Until when the secret of before signs, or signed, as well; null where there was none."),
    ]
    cursor: Cursor
    backlog: Annotated[int, Meta(description="Events that wait.")]
    oldest_at: Annotated[Moment | None, Meta(description="When the oldest of them happened.")]
    dead_letters: Annotated[int, Meta(description="Events that were given up.")]
    breaker: Annotated[
        Literal["closed", "open", "half-open"],
        Meta(description="open: nothing is posted until nextAttemptAt; half-open: the probe is due."),
    ]
    failing_since: Annotated[
        Moment | None, Meta(description="When the failures began that no success has ended; null where there are none.")
    ]
    next_attempt_at: Annotated[
        Moment | None,
        Meta(description="When what failed is tried again; null where nothing failed or nothing is posted."),
    ]
    attempts: Annotated[list[DeliveryAttempt], Meta(description="The last ones, newest first.")]


class NewEndpoint(Payload, frozen=True, kw_only=True):
    """What an endpoint is after a change."""

    webhook: WebhookDetails
    webhook_secret: Annotated[
        str | UnsetType,
        Meta(description="What it signs with. There this once, where the call made it.", examples=["whsec_…"]),
    ] = UNSET


class TestResult(Payload, frozen=True, kw_only=True):
    """What came of a test event."""

    delivered: Annotated[bool, Meta(description="Whether the receiver took it (2xx).")]
    attempt: DeliveryAttempt


class ReplayRequest(Payload, frozen=True, kw_only=True):
    """Which events are to be told again; all conditions together."""

    after: Annotated[int, Meta(ge=0, le=LARGEST_POSITION, description="Only events behind this position.")] = 0
    until: Annotated[Position | None, Meta(description="Only events up to this position; null: to the end.")] = None
    since: Annotated[Moment | None, Meta(description="Only what was recorded from then on; null: ever.")] = None
    before: Annotated[Moment | None, Meta(description="Only what was recorded until then; null: until now.")] = None
    events: Annotated[tuple[str, ...], Meta(description="Only these; none: what the endpoint is told anyway.")] = ()


class RedriveRequest(Payload, frozen=True, kw_only=True):
    """Which dead letters are to be told again; all conditions together, and all where there is none."""

    positions: Annotated[
        Annotated[list[Position], Meta(max_length=MOST_AGAIN)] | None,
        Meta(description="Only those of these events; null: of all."),
    ] = None
    after: Annotated[int, Meta(ge=0, le=LARGEST_POSITION, description="Only those behind this position.")] = 0


class Queued(Payload, frozen=True, kw_only=True):
    """What will be told again, with its old ids, before what waits."""

    queued: Annotated[int, Meta(description="How many events.")]
    next: Annotated[int | None, Meta(description="There is more: ask again with this as `after`.")]


class Letter(Payload, frozen=True, kw_only=True):
    """A delivery that was given up."""

    position: Annotated[int, Meta(description="The event's place in the log: what `resend` and `redrive` take.")]
    sequence: Annotated[int, Meta(description="The event's number, as its webhook has it.")]
    id: Annotated[Id, Meta(description="The event's id, as its webhook has it.")]
    type: Annotated[str, Meta(description="What the event is in the log.", examples=["message.received"])]
    at: Annotated[Moment, Meta(description="When it was given up.")]
    attempts: Annotated[int, Meta(description="How often it was tried.")]
    error: Annotated[str, Meta(description="Class of the last failure.", examples=["http_422"])]


class DeadLetterPage(Payload, frozen=True, kw_only=True):
    """A page of what was given up."""

    dead_letters: Annotated[list[Letter], Meta(description="By position, the oldest first.")]
    next: Annotated[int, Meta(description="Give it as `after` for the next page.")]


class SecretRequest(Payload, frozen=True, kw_only=True):
    """A rotation of the signing secret."""

    secret: Annotated[
        str | None, Meta(description="One of your own: whsec_ and base64 of 24 to 64 bytes; null: one is made.")
    ] = None
    overlap_s: Annotated[float, Meta(description="Seconds that the old one signs as well.")] = 86_400.0


class NewSecret(Payload, frozen=True, kw_only=True):
    """The secret that signs from now on, shown this once."""

    webhook_secret: Annotated[
        Annotated[str, Meta(examples=["whsec_…"])] | None,
        Meta(description="Keep it; null where the answer is repeated."),
    ]
    old_until: Annotated[Moment, Meta(description="Until when the one of before signs as well.")]


def command(change: EndpointChange, endpoint: str) -> ConfigureEndpoint:
    """The change as the instance takes it, without the headers."""
    return ConfigureEndpoint(
        endpoint=endpoint,
        url=change.url,
        events=change.events if change.events is UNSET else tuple(sorted(set(change.events))),
        order=change.order,
        paused=change.paused,
        retry_for_s=change.retry_for_s,
        reject_after_s=change.reject_after_s,
    )


def details(look: Look, now: datetime) -> WebhookDetails:
    endpoint, standing = look.endpoint, look.standing
    return WebhookDetails(
        endpoint=endpoint.id,
        endpoints=list(look.endpoints),
        url=endpoint.url,
        events=list(endpoint.events),
        order=endpoint.order,
        headers=list(endpoint.headers),
        paused=endpoint.paused,
        retry_for_s=endpoint.retry_for_s,
        reject_after_s=endpoint.reject_after_s,
        disabled=endpoint.disabled,
        since=endpoint.since,
        old_secret_until=endpoint.old_secret_until,
        cursor=Cursor(
            sequence=standing.sequence if standing.oldest is None else standing.oldest - 1, latest=standing.sequence
        ),
        backlog=standing.waiting,
        oldest_at=look.oldest.recorded_at if look.oldest else None,
        dead_letters=standing.dead,
        breaker=breaker(look, now),
        failing_since=standing.failing_since,
        next_attempt_at=standing.due if endpoint.open else None,
        attempts=[attempt(each, each.sequence) for each in look.attempts],
    )


def breaker(look: Look, now: datetime) -> Literal["closed", "open", "half-open"]:
    """Whether all deliveries wait for one that failed."""
    due = look.standing.due
    enough = 1 if look.endpoint.order == "instance" else BREAKER_AFTER
    last = look.attempts[:enough]
    if due is None or len(last) < enough or not all(each.error for each in last):
        return "closed"
    return "open" if due > now else "half-open"


def attempt(made: Attempt, sequence: int | None = None) -> DeliveryAttempt:
    return DeliveryAttempt(**msgspec.structs.asdict(made) | {"sequence": sequence})


def queued(again: Again) -> Queued:
    return Queued(queued=again.queued, next=again.next)


def letter(dead: DeadLetter) -> Letter:
    return Letter(
        position=dead.position,
        sequence=dead.sequence,
        id=dead.id,
        type=dead.type,
        at=dead.at,
        attempts=dead.attempts,
        error=dead.error,
    )


def pacing(wanted: Pacing | None) -> pace.Pacing:
    """What the actors call it."""
    if wanted is None:
        return pace.UNPACED
    return pace.Pacing(per_minute=wanted.per_minute, burst=wanted.burst, typing_s=wanted.typing)
