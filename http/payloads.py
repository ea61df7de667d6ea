"""The contract's JSON: what callers send and what they get. The only place of camelCase, and the source of /openapi.json.

Fields that nobody knows are ignored, so that callers of other gateways and of later versions are served; but a change
that names no known field is refused, so that a misspelt one is not taken for done.
"""

from datetime import UTC, datetime
from typing import Annotated

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

Name = Annotated[
    str,
    Meta(
        description="What calls name the instance by.",
        examples=["empresa_x"],
        extra_json_schema={"pattern": "^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$"},
    ),
]
Id = Annotated[str, Meta(description="A UUID.", extra_json_schema={"format": "uuid"})]
InstanceId = Annotated[Id, Meta(description="The instance's id: a UUID that no other one ever gets.")]
Url = Annotated[
    str,
    Meta(
        description="Where events are posted: http or https.",
        examples=["http://api_mensagem/webhook/whatsapp"],
        extra_json_schema={"format": "uri"},
    ),
]
Number = Annotated[
    str,
    Meta(
        description="Digits with country and area code; an optional '+' and separators are fine. Or a full JID.",
        examples=["559199999999"],
    ),
]
Moment = Annotated[datetime, Meta(tz=True)]
Jid = Annotated[
    str,
    Meta(
        description="WhatsApp's address: `…@s.whatsapp.net` of a person, `…@g.us` of a group.",
        examples=["559199999999@s.whatsapp.net"],
    ),
]
JidOrNone = Annotated[Jid | None, Meta(description="The address by number; null where WhatsApp does not show it.")]
LidOrNone = Annotated[
    str | None, Meta(description="The same one's address without the number, `…@lid`; null where it is not known.")
]
MessageId = Annotated[str, Meta(description="WhatsApp's id of the message.")]
Since = Annotated[Moment, Meta(description="When the status last changed.")]
Restarts = Annotated[
    int, Meta(description="New sockets after a loss or on request; none for pairing or a start of the manager.")
]


class Payload(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The common root of everything that is JSON for callers."""


class CreateRequest(Payload, frozen=True, kw_only=True):
    """A number that is to be managed."""

    name: Name
    webhook_url: Url


class MessageRequest(Payload, frozen=True, kw_only=True):
    """A text and who shall get it."""

    number: Number
    message: Annotated[
        str,
        Meta(
            description="The words.",
            examples=["Olá!"],
            extra_json_schema={"minLength": 1, "maxLength": 65536},
        ),
    ]


class Pacing(Payload, frozen=True, kw_only=True):
    """How fast an instance sends; what outruns it is 429. Whatever is left out is off."""

    per_minute: Annotated[
        Annotated[float, Meta(ge=0.001, le=6000)] | None,
        Meta(description="How many messages a minute in the long run; null: any number."),
    ] = None
    burst: Annotated[int, Meta(ge=1, le=1000, description="So many may go at once after a rest.")] = 1
    typing: Annotated[
        float, Meta(ge=0, le=15, description="Seconds that it is seen typing before a text, or recording before voice.")
    ] = 0.0


class PairingRequest(Payload, frozen=True, kw_only=True):
    """The phone's own number."""

    number: Number


class InstanceSummary(Payload, frozen=True, kw_only=True):
    """An instance at a glance."""

    id: InstanceId
    name: Name
    status: Status


class CreatedInstance(InstanceSummary, frozen=True, kw_only=True):
    """A new instance. `webhookSecret` is shown this once; null when the answer is repeated after its deletion."""

    webhook_url: Url
    webhook_secret: Annotated[
        Annotated[str, Meta(examples=["whsec_…"])] | None,
        Meta(description="What its webhooks are signed with (Standard Webhooks). Keep it."),
    ]


class User(Payload, frozen=True, kw_only=True):
    """The WhatsApp account of an instance."""

    jid: Jid
    lid: LidOrNone
    push_name: Annotated[str, Meta(description="The name that its owner gave it; empty where it is not known.")]


class InstanceState(Payload, frozen=True, kw_only=True):
    """An instance as the log knows it."""

    id: InstanceId
    name: Name
    status: Annotated[Status | None, Meta(description="null once the instance is removed.")]
    reason: Annotated[
        str | None, Meta(description="Why it is INVALID, DISCONNECTED, DEGRADED or removed; else mostly null.")
    ]
    since: Since
    webhook_url: Url
    user: Annotated[
        User | None, Meta(description="The account it was linked to; null where there was none, or it is removed.")
    ]
    restarts: Annotated[
        int, Meta(description="New sockets by then, after a loss or on request; 0 once the instance is removed.")
    ]
    removed: Annotated[bool, Meta(description="Whether it was removed by then.")]
    messages: Annotated[
        list[Message],
        Meta(description=f"Those of the last {LAST_OF_MESSAGES:,} events about messages, and what had become of each."),
    ]


class InstanceDetails(Payload, frozen=True, kw_only=True):
    """All that can be known of an instance now. `qr` is a credential: whoever scans it links the number."""

    id: InstanceId
    name: Name
    status: Status
    reason: Annotated[str | None, Meta(description="Why it is INVALID, DISCONNECTED or DEGRADED; else mostly null.")]
    since: Since
    webhook_url: Url
    user: Annotated[User | None, Meta(description="The account it is linked to; null where there is none.")]
    qr: Annotated[
        str | None,
        Meta(description="The text of the QR code, while one waits for the phone. Only for keys that may manage."),
    ]
    qr_expires_at: Annotated[Moment | None, Meta(description="When another code takes its place; null without one.")]
    restarts: Restarts
    retry_at: Annotated[
        Moment | None,
        Meta(description="When it is tried next, after a loss, a ban or in quarantine; null where nothing is planned."),
    ]
    pacing: Annotated[Pacing | None, Meta(description="null where it sends as fast as it is told to.")]
    node: Annotated[str, Meta(description="The manager that runs it.")]


class PairingCode(Payload, frozen=True, kw_only=True):
    """What to type into the phone instead of scanning. A credential."""

    code: Annotated[
        str,
        Meta(description="Eight characters with a dash in their middle, for a few minutes.", examples=["ABCD-1234"]),
    ]


class SentMessage(Payload, frozen=True, kw_only=True):
    """WhatsApp's server has the message (ack 1)."""

    message_id: MessageId
    jid: Annotated[Jid, Meta(description="The chat it went to, as WhatsApp names the account.")]
    status: Annotated[Ack, Meta(description="The acknowledgement, 1 sent: what follows is told.", examples=[1])]
    timestamp: Annotated[Moment, Meta(description="When WhatsApp's server had it, by its own clock.")]


class LoggedEvent(Payload, frozen=True, kw_only=True):
    """Something that happened to an instance, or that something was forgotten."""

    position: Annotated[int, Meta(description="Place in the whole log, from 1, without gaps.")]
    stream: Annotated[
        str,
        Meta(
            description="The instance's id; `privacy` of what is of no instance: `subject.erased`, `content.expired`."
        ),
    ]
    version: Annotated[int, Meta(description="Place in its stream, from 1, without gaps.")]
    id: Annotated[str, Meta(description="The event's own id: that of its webhook, where one is told.")]
    type: Annotated[str, Meta(description="What kind of thing happened.", examples=["message.acknowledged"])]
    data: Annotated[
        msgspec.Raw,
        Meta(
            description="What happened, as it was stored.", examples=[{"messageId": "3EB0C767D0A8F5B1D2E4", "ack": 2}]
        ),
    ]
    recorded_at: Annotated[Moment, Meta(description="When it was put on record, by the manager's clock.")]
    sequence: Annotated[int | None, Meta(description="Number of its webhook delivery; null where no webhook is told.")]
    hash: Annotated[str, Meta(description="SHA-256 of the log up to and including this event.")]


class EventPage(Payload, frozen=True, kw_only=True):
    """A page of the log."""

    events: Annotated[list[LoggedEvent], Meta(description="By position, the oldest first.")]
    next: Annotated[int, Meta(description="Give it as `after` for the next page.")]


class Node(Payload, frozen=True, kw_only=True):
    """A manager."""

    name: Annotated[str, Meta(description="Its `--node`.", examples=["node-1"])]
    url: Annotated[str, Meta(description="Where the others reach it: its `--advertise`.")]
    instances: Annotated[int, Meta(description="How many it has.")]
    seen_at: Annotated[Moment, Meta(description="When it was last heard of.")]
    alive: Annotated[bool, Meta(description="It was heard of lately, and what it has is not given to others.")]


class Health(Payload, frozen=True, kw_only=True):
    """Good news."""

    status: Annotated[str, Meta(description="`alive`, or `ready` for new work.", examples=["ready"])]


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
