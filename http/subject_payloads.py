"""The JSON of subjects.py."""

from typing import Annotated

from msgspec import Meta

from chatbot_erp.eventstore.checkpoints import Checkpoint
from chatbot_erp.eventstore.walk import Report
from chatbot_erp.http.payloads import LoggedEvent, Moment, Payload


class SubjectPage(Payload, frozen=True, kw_only=True):
    """A page of what the log holds of somebody. It may be short, even empty, and not be the last one."""

    addresses: Annotated[
        tuple[str, ...],
        Meta(description="All names they are known under: digits, in Brazil without the ninth one, or a LID."),
    ]
    events: Annotated[list[LoggedEvent], Meta(description="By position, the oldest first.")]
    next: Annotated[int | None, Meta(description="Give it as `after` for the next page; null: this is the last.")]


class Erasure(Payload, frozen=True, kw_only=True):
    """Somebody is forgotten."""

    id: Annotated[str, Meta(description="Of the erasure, and of its event. It says nothing about the person.")]
    position: Annotated[int | None, Meta(description="Of its event; null where the log knew nothing of them.")]
    subjects: Annotated[int, Meta(description="How many keys were destroyed; more than one where names met late.")]
    awaited: Annotated[
        tuple[str, ...],
        Meta(description="Nodes that are down: each cleans what is on its machine when it is back, before it works."),
    ]


class SignedCheckpoint(Payload, frozen=True, kw_only=True):
    """The owner of `key` says that the chain had this hash at this position. Keep it elsewhere."""

    position: Annotated[int, Meta(description="The event it was signed behind.")]
    hash: Annotated[str, Meta(description="The chain's hash there, SHA-256 in hex.")]
    at: Annotated[Moment, Meta(description="When it was signed.")]
    key: Annotated[str, Meta(description="The public key that signed it (Ed25519, hex).")]
    signature: Annotated[str, Meta(description="The signature, in hex.")]


class AuditReport(Payload, frozen=True, kw_only=True):
    """What was found when every event was compared with its hash, the one before it, its stream and the checkpoints."""

    whole: Annotated[bool, Meta(description="Whether everything fits.")]
    events: Annotated[int, Meta(description="How many events from the first one on fit.")]
    hash: Annotated[str, Meta(description="The chain's hash after them.")]
    streams: Annotated[int, Meta(description="How many streams those are of.")]
    checkpoints: Annotated[int, Meta(description="How many checkpoints they were compared with.")]
    keys: Annotated[tuple[str, ...], Meta(description="Public keys that signed the checkpoints (Ed25519, hex).")]
    checkpoint: Annotated[SignedCheckpoint | None, Meta(description="The newest one; null where there is none yet.")]
    position: Annotated[int | None, Meta(description="The first position that does not fit; null where all do.")]
    problem: Annotated[str | None, Meta(description="What is wrong there; null where all fits.")]


def audit(report: Report) -> AuditReport:
    return AuditReport(
        whole=report.problem is None,
        events=report.events,
        hash=report.hash,
        streams=report.streams,
        checkpoints=report.checkpoints,
        keys=report.keys,
        checkpoint=signed(report.checkpoint) if report.checkpoint else None,
        position=report.position,
        problem=report.problem,
    )


def signed(checkpoint: Checkpoint) -> SignedCheckpoint:
    return SignedCheckpoint(
        position=checkpoint.position,
        hash=checkpoint.hash,
        at=checkpoint.at,
        key=checkpoint.key,
        signature=checkpoint.signature,
    )
