"""The contract's JSON: what callers send and what they get. The only place of camelCase, and the source of /openapi.json.

Fields that nobody knows are ignored, so that callers of other gateways and of later versions are served; but a change
that names no known field is refused, so that a misspelt one is not taken for done.
"""

import json
import re
from datetime import UTC, datetime
from typing import Annotated, TypeVar

import msgspec
from msgspec import Meta

from chatbot_erp.actors import pacing as pace
from chatbot_erp.actors.directory import InstanceView
from chatbot_erp.actors.dispatch import Sent
from chatbot_erp.actors.fates import Message
from chatbot_erp.actors.manager import Created
from chatbot_erp.actors.rebuild import LAST_OF_MESSAGES
from chatbot_erp.actors.state import Account, Instance, Removed
from chatbot_erp.eventstore.events import Ack, Status
from chatbot_erp.eventstore.records import Recorded
from chatbot_erp.http.problems import INVALID, MALFORMED_JSON, FieldError, RequestRefused

_HALF = re.compile(rb"\\u[dD][89a-fA-F]")

T = TypeVar("T", bound=msgspec.Struct)

Name = Annotated[str, Meta(examples=["empresa_x"], extra_json_schema={"pattern": "^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$"})]
Id = Annotated[str, Meta(extra_json_schema={"format": "uuid"})]
Url = Annotated[str, Meta(examples=["http://api_mensagem/webhook/whatsapp"], extra_json_schema={"format": "uri"})]
Number = Annotated[
    str,
    Meta(
        description="Digits with country and area code; an optional '+' and separators are fine. Or a full JID.",
        examples=["559199999999"],
    ),
]
Moment = Annotated[datetime, Meta(tz=True)]
Jid = Annotated[str, Meta(examples=["559199999999@s.whatsapp.net"])]


class Payload(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The common root of everything that is JSON for callers."""


class CreateRequest(Payload, frozen=True, kw_only=True):
    """A number that is to be managed."""

    name: Name
    webhook_url: Url


class MessageRequest(Payload, frozen=True, kw_only=True):
    """A text and who shall get it."""

    number: Number
    message: Annotated[str, Meta(examples=["Olá!"], extra_json_schema={"minLength": 1, "maxLength": 65536})]


class Pacing(Payload, frozen=True, kw_only=True):
    """How fast an instance sends; what outruns it is 429. Whatever is left out is off."""

    per_minute: Annotated[float, Meta(gt=0, le=6000)] | None = None
    burst: Annotated[int, Meta(ge=1, le=1000, description="So many may go at once after a rest.")] = 1
    typing: Annotated[
        float, Meta(ge=0, le=15, description="Seconds that it is seen typing before a text, or recording before voice.")
    ] = 0.0


class PairingRequest(Payload, frozen=True, kw_only=True):
    """The phone's own number."""

    number: Number


class InstanceSummary(Payload, frozen=True, kw_only=True):
    """An instance at a glance."""

    id: Id
    name: Name
    status: Status


class CreatedInstance(InstanceSummary, frozen=True, kw_only=True):
    """A new instance. `webhookSecret` is shown this once; null when the answer is repeated after its deletion."""

    webhook_url: Url
    webhook_secret: Annotated[str, Meta(examples=["whsec_…"])] | None


class User(Payload, frozen=True, kw_only=True):
    """The WhatsApp account of an instance."""

    jid: Jid
    lid: str | None
    push_name: str


class InstanceState(Payload, frozen=True, kw_only=True):
    """An instance as the log knows it."""

    id: Id
    name: Name
    status: Annotated[Status | None, Meta(description="null once the instance is removed")]
    reason: Annotated[str | None, Meta(description="Why it is INVALID, DISCONNECTED, DEGRADED or removed.")]
    since: Moment
    webhook_url: Url
    user: User | None
    restarts: int
    removed: bool
    messages: Annotated[
        list[Message],
        Meta(description=f"Those of the last {LAST_OF_MESSAGES:,} events about messages, and what had become of each."),
    ]


class InstanceDetails(Payload, frozen=True, kw_only=True):
    """All that can be known of an instance now. `qr` is a credential: whoever scans it links the number."""

    id: Id
    name: Name
    status: Status
    reason: Annotated[str | None, Meta(description="Why it is INVALID, DISCONNECTED or DEGRADED.")]
    since: Moment
    webhook_url: Url
    user: User | None
    qr: Annotated[
        str | None,
        Meta(description="The text of the QR code, while one waits for the phone. Only for keys that may manage."),
    ]
    qr_expires_at: Moment | None
    restarts: int
    retry_at: Annotated[
        Moment | None,
        Meta(description="When it is tried next, after a loss, a ban or in quarantine; null where nothing is planned."),
    ]
    pacing: Annotated[Pacing | None, Meta(description="null where it sends as fast as it is told to.")]
    node: Annotated[str, Meta(description="The manager that runs it.")]


class PairingCode(Payload, frozen=True, kw_only=True):
    """What to type into the phone instead of scanning. A credential."""

    code: Annotated[str, Meta(examples=["ABCD-1234"])]


class SentMessage(Payload, frozen=True, kw_only=True):
    """WhatsApp's server has the message (ack 1)."""

    message_id: str
    jid: Jid
    status: Annotated[Ack, Meta(examples=[1])]
    timestamp: Moment


class LoggedEvent(Payload, frozen=True, kw_only=True):
    """Something that happened to an instance."""

    position: Annotated[int, Meta(description="Place in the whole log, from 1, without gaps.")]
    stream: Annotated[str, Meta(description="The instance's id.")]
    version: Annotated[int, Meta(description="Place in the instance's own log, from 1, without gaps.")]
    id: str
    type: Annotated[str, Meta(examples=["message.acknowledged"])]
    data: Annotated[
        msgspec.Raw,
        Meta(
            description="What happened, as it was stored.", examples=[{"messageId": "3EB0C767D0A8F5B1D2E4", "ack": 2}]
        ),
    ]
    recorded_at: Moment
    sequence: Annotated[int | None, Meta(description="Number of its webhook delivery; null where no webhook is told.")]
    hash: Annotated[str, Meta(description="SHA-256 of the log up to and including this event.")]


class EventPage(Payload, frozen=True, kw_only=True):
    """A page of the log."""

    events: list[LoggedEvent]
    next: Annotated[int, Meta(description="Give it as `after` for the next page.")]


class Node(Payload, frozen=True, kw_only=True):
    """A manager. `alive`: it was heard of lately, and what it has is not given to others."""

    name: str
    url: str
    instances: int
    seen_at: Moment
    alive: bool


class Health(Payload, frozen=True, kw_only=True):
    """Good news."""

    status: Annotated[str, Meta(examples=["ready"])]


def parse(body: bytes, kind: type[T]) -> T:
    """The body as `kind`. Raises `RequestRefused`: not JSON at all, or `errors` that name each wrong field."""
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as ex:
        raise RequestRefused(INVALID, "The body is not what this call takes.", faults(body, kind)) from ex
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as ex:
        raise RequestRefused(MALFORMED_JSON, why_not_json(body, ex)) from ex


def why_not_json(body: bytes, ex: Exception) -> str:
    """A sentence for people; it never repeats what was sent."""
    if not body.strip():
        return "The body is empty."
    if isinstance(ex, UnicodeDecodeError):
        return "The body is not UTF-8."
    if isinstance(ex, RecursionError):
        return "The body is nested too deep."
    return "A text in the body is not valid Unicode (a lone surrogate)." if _is_lenient_json(body) else f"{ex}."


def _is_lenient_json(body: bytes) -> bool:
    """Whether all that is wrong are halves of characters: Python's own reader takes them, and msgspec misnames them."""
    try:
        json.loads(body)
    except (ValueError, RecursionError):
        return False
    return _HALF.search(body) is not None


def faults(body: bytes, kind: type[msgspec.Struct]) -> list[FieldError]:
    """Everything that is wrong with a body, not only the first thing. Raises `RequestRefused` if it is not JSON."""
    found = []
    try:
        given = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
        for field in msgspec.structs.fields(kind):
            name = field.encode_name
            if name not in given and field.required:
                found.append(FieldError(field=name, location="body", detail="It is required."))
            elif name in given and (fault := fault_of(given[name], field.type)):
                found.append(FieldError(field=name, location="body", detail=fault))
    except msgspec.ValidationError:
        return [FieldError(field="", location="body", detail="Expected an object.")]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as ex:
        raise RequestRefused(MALFORMED_JSON, why_not_json(body, ex)) from ex
    return found


def nothing_to_change(detail: str, *fields: str) -> RequestRefused:
    """What a change is that names none of the `fields` that can be changed."""
    known = [FieldError(field=field, location="body", detail=detail) for field in fields]
    return RequestRefused(INVALID, "The body names nothing that can be changed.", known)


def fault_of(value: msgspec.Raw, kind: object) -> str | None:
    """Why a value is not of a kind, or None."""
    try:
        msgspec.json.decode(value, type=kind)
    except msgspec.ValidationError as ex:
        return f"{ex}."
    return None


def summary(view: InstanceView) -> InstanceSummary:
    return InstanceSummary(id=view.id, name=view.name, status=view.status)


def created(new: Created) -> CreatedInstance:
    """As INITIALIZING, whatever has become of it meanwhile: this is what was begun."""
    return CreatedInstance(
        id=new.view.id,
        name=new.view.name,
        status=Status.INITIALIZING,
        webhook_url=new.view.webhook_url,
        webhook_secret=new.webhook_secret,
    )


def details(view: InstanceView, node: str, *, with_qr: bool) -> InstanceDetails:
    qr = view.qr if with_qr else None
    return InstanceDetails(
        id=view.id,
        name=view.name,
        status=view.status,
        reason=view.reason,
        since=view.since,
        webhook_url=view.webhook_url,
        user=user(view.account),
        qr=qr.text if qr else None,
        qr_expires_at=qr.expires_at if qr else None,
        restarts=view.restarts,
        retry_at=view.next_try_at,
        pacing=pacing(view.pacing),
        node=node,
    )


def pacing(wanted: pace.Pacing) -> Pacing | None:
    if wanted == pace.UNPACED:
        return None
    return Pacing(per_minute=wanted.per_minute, burst=wanted.burst, typing=wanted.typing_s)


def user(account: Account | None) -> User | None:
    return User(jid=account.jid, lid=account.lid, push_name=account.push_name) if account else None


def state(instance: str, then: Instance | Removed, messages: list[Message]) -> InstanceState:
    live = then if isinstance(then, Instance) else None
    return InstanceState(
        id=instance,
        name=then.name,
        status=live.status if live else None,
        reason=then.reason,
        since=then.since,
        webhook_url=then.webhook_url,
        user=user(live.account) if live else None,
        restarts=live.restarts if live else 0,
        removed=live is None,
        messages=messages,
    )


def sent(message: Sent) -> SentMessage:
    return SentMessage(message_id=message.message_id, jid=message.jid, status=Ack.SENT, timestamp=message.sent_at)


def logged(record: Recorded) -> LoggedEvent:
    return LoggedEvent(
        position=record.position,
        stream=record.stream,
        version=record.version,
        id=record.id,
        type=record.type,
        data=record.data,
        recorded_at=record.recorded_at,
        sequence=record.sequence,
        hash=record.hash,
    )


def utc(moment: datetime) -> datetime:
    """A caller's moment; without an offset it is UTC. Raises OverflowError at the ends of time."""
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
