"""Errors on the wire (RFC 9457), and the one table that says which error is which status.

A problem's `type` is `/problems/<code>`, relative to this manager, which explains it there. `CATALOGUE` has them all.
"""

from typing import Annotated, Literal
from uuid import UUID

import msgspec

from chatbot_erp.actors import errors as manager
from chatbot_erp.eventstore import errors as store

MEDIA_TYPE = "application/problem+json"
LONGEST_DETAIL = 500
CHALLENGE = 'Bearer realm="chatbot-erp"'
"""What a refusal for want of a key asks for."""


class FieldError(msgspec.Struct, frozen=True, kw_only=True):
    """Which part of the request to mend."""

    field: Annotated[str, msgspec.Meta(description="Its name; empty where the whole body is meant.")]
    location: Annotated[Literal["body", "query", "header"], msgspec.Meta(description="Where it stands.")] = (
        msgspec.field(name="in")
    )
    detail: Annotated[str, msgspec.Meta(description="What is wrong with it, a sentence.")]


class Problem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Why a request was not carried out, and what to do about it."""

    type: Annotated[str, msgspec.Meta(description="Stable; relative to this manager, which explains it there.")]
    title: Annotated[str, msgspec.Meta(description="What the type means, a sentence.")]
    status: Annotated[int, msgspec.Meta(description="That of the answer.")]
    detail: Annotated[str, msgspec.Meta(description="What was wrong this time, a sentence.")]
    action: Annotated[str, msgspec.Meta(description="What the caller can do.")]
    instance: Annotated[str, msgspec.Meta(description="This request's own id, in every log line about it.")]
    errors: Annotated[
        list[FieldError], msgspec.Meta(description="The fields that are wrong; not there where none is.")
    ] = []


class ProblemType(msgspec.Struct, frozen=True, kw_only=True):
    """A kind of problem.

    `final`: something happened, or may have; the same Idempotency-Key then gets the same answer for ever. Where it is
    false nothing happened, so the key is free again and a retry can succeed.
    """

    code: str
    status: int
    title: str
    action: str
    blames: str | None = None
    """The field of the request that is wrong by definition of this problem."""
    final: bool = False
    retry_after_s: int | None = None


def _of(
    error: type[manager.ManagerError], status: int, *, blames: str | None = None, final: bool = False
) -> ProblemType:
    return ProblemType(
        code=error.code, status=status, title=error.title, action=error.action, blames=blames, final=final
    )


def _later(code: str, status: int, title: str, action: str) -> ProblemType:
    return ProblemType(code=code, status=status, title=title, action=action, retry_after_s=5)


BAD_REQUEST = ProblemType(
    code="bad-request", status=400, title="The request is not valid HTTP.", action="Correct the request."
)
MALFORMED_JSON = ProblemType(
    code="malformed-json", status=400, title="The body is not JSON.", action="Send one JSON object in UTF-8."
)
BAD_IDEMPOTENCY_KEY = ProblemType(
    code="bad-idempotency-key",
    status=400,
    title="The Idempotency-Key is not allowed.",
    action="Use 1 to 255 visible ASCII characters, such as a UUID, in one header.",
)
UNAUTHENTICATED = ProblemType(
    code="unauthenticated",
    status=401,
    title="The API key is missing or wrong.",
    action="Send 'Authorization: Bearer KEY' or 'X-API-Key: KEY'.",
)
NOT_ALLOWED = ProblemType(
    code="not-allowed",
    status=403,
    title="The API key does not allow that.",
    action="Use a key with the scope and the instance that the call needs (chatbot-erp keys create).",
)
FOREIGN_HOST = ProblemType(
    code="foreign-host",
    status=403,
    title="The call is for another machine, or comes from one.",
    action="Call by 127.0.0.1 or localhost, through no proxy, or configure an API key.",
)
FOREIGN_ORIGIN = ProblemType(
    code="foreign-origin",
    status=403,
    title="A page of another origin may not do that.",
    action="Use the manager's own dashboard, or call from a server with an API key.",
)
NOT_FOUND = ProblemType(
    code="not-found", status=404, title="There is nothing at this path.", action="Look at /docs for the paths."
)
NO_QR = ProblemType(
    code="no-qr",
    status=404,
    title="There is no QR code now.",
    action="Ask again while the status is SCAN_QR_CODE; restart the instance for a new attempt.",
)
METHOD_NOT_ALLOWED = ProblemType(
    code="method-not-allowed",
    status=405,
    title="The path does not have this method.",
    action="Use a method of the Allow header.",
)
NOT_ACCEPTABLE = ProblemType(
    code="not-acceptable",
    status=406,
    title="None of the accepted media types can be had.",
    action="Accept one of the media types of the detail.",
)
REQUEST_TIMEOUT = ProblemType(
    code="request-timeout",
    status=408,
    title="The request took too long to arrive.",
    action="Nothing was done; send it again, faster.",
)
SANDBOX_REFUSED = ProblemType(
    code="sandbox-refused",
    status=409,
    title="The sandbox network cannot do that now.",
    action="Look at the detail and at the instance's status.",
)
KEY_RUNNING = ProblemType(
    code="idempotency-key-running",
    status=409,
    title="The first request with this Idempotency-Key still runs.",
    action="Repeat the same request in a moment to get its answer.",
    retry_after_s=1,
)
CONTENT_TOO_LARGE = ProblemType(
    code="content-too-large",
    status=413,
    title="The body is too large.",
    action="Send at most 1 MiB; what brings a file to be sent may be larger, as --media-max-mib says.",
)
UNSUPPORTED_MEDIA_TYPE = ProblemType(
    code="unsupported-media-type",
    status=415,
    title="The body's media type is not JSON.",
    action="Send 'Content-Type: application/json' (curl: -H 'Content-Type: application/json').",
)
INVALID = ProblemType(
    code="invalid-request",
    status=422,
    title="Parts of the request are missing or of the wrong kind.",
    action="Correct what 'errors' names.",
)
KEY_REUSED = ProblemType(
    code="idempotency-key-reused",
    status=422,
    title="The Idempotency-Key was used for a different request.",
    action="Use a new key for a new request.",
)
TOO_MANY_FAILURES = ProblemType(
    code="too-many-failures",
    status=429,
    title="Too many wrong API keys came from this address.",
    action="Wait as long as Retry-After says, then use the right key.",
    retry_after_s=60,
)
HEADERS_TOO_LARGE = ProblemType(
    code="headers-too-large", status=431, title="The headers are too large.", action="Send less than 32 KiB of headers."
)
INTERNAL = ProblemType(
    code="internal-error",
    status=500,
    title="The manager failed.",
    action="Look for the request's id in the manager's log, and at the instance's events for what happened.",
    final=True,
)
NOT_IMPLEMENTED = ProblemType(
    code="not-implemented", status=501, title="The manager cannot do that.", action="Use plain HTTP/1.1."
)
NOT_READY = _later("not-ready", 503, "The manager takes no new work now.", "Try again after the time in Retry-After.")
NO_NODE = _later(
    "no-node",
    503,
    "The instance is at no node that works just now.",
    "Nothing was done; try again: another one takes over, or its own comes back.",
)
TOO_MANY_STREAMS = _later(
    "too-many-streams",
    503,
    "All places for streams are taken, or all that the key may have.",
    "Try again later, or page through GET /events.",
)
TOO_MANY_UPLOADS = _later(
    "too-many-uploads", 503, "Too many files are being uploaded.", "Nothing was done; try again in a moment."
)
STORE_FULL = _later(
    "store-full", 507, "The disk is full.", "Nothing was done; free disk space, the manager goes on by itself."
)
OUTCOME_UNKNOWN = _of(manager.OutcomeUnknown, 504, final=True)

OF_ERROR: dict[type[Exception], ProblemType] = {
    manager.BadName: _of(manager.BadName, 422, blames="name"),
    manager.BadWebhookUrl: _of(manager.BadWebhookUrl, 422, blames="webhookUrl"),
    manager.BadNumber: _of(manager.BadNumber, 422, blames="number"),
    manager.BadMessage: _of(manager.BadMessage, 422, blames="message"),
    manager.NameTaken: _of(manager.NameTaken, 409),
    manager.InstanceNotFound: _of(manager.InstanceNotFound, 404),
    manager.InstanceNotOperational: _of(manager.InstanceNotOperational, 409),
    manager.NotPairing: _of(manager.NotPairing, 409),
    manager.BadEndpoint: _of(manager.BadEndpoint, 422),
    manager.EndpointNotFound: _of(manager.EndpointNotFound, 404),
    manager.NothingToDeliver: _of(manager.NothingToDeliver, 404),
    manager.AuditRunning: _of(manager.AuditRunning, 409),
    manager.HistoryTooLong: _of(manager.HistoryTooLong, 422),
    manager.NotOnWhatsApp: _of(manager.NotOnWhatsApp, 404, blames="number", final=True),
    manager.ReachoutLocked: _of(manager.ReachoutLocked, 502, final=True),
    manager.AddressingRejected: _of(manager.AddressingRejected, 502),
    manager.SendingTooFast: _later(
        "sending-too-fast", 429, manager.SendingTooFast.title, manager.SendingTooFast.action
    ),
    manager.MessageNotFound: _of(manager.MessageNotFound, 404),
    manager.NoMedia: _of(manager.NoMedia, 404),
    manager.MediaGone: _of(manager.MediaGone, 410),
    manager.MediaUnavailable: _of(manager.MediaUnavailable, 502),
    manager.MediaNotUploaded: _later(
        "media-not-uploaded", 503, manager.MediaNotUploaded.title, manager.MediaNotUploaded.action
    ),
    manager.BadContent: _of(manager.BadContent, 422),
    manager.BadMedia: _of(manager.BadMedia, 422),
    manager.BadMediaUrl: _of(manager.BadMediaUrl, 422, blames="url"),
    manager.MediaTooLarge: _of(manager.MediaTooLarge, 413),
    manager.WhatsAppRefused: _of(manager.WhatsAppRefused, 502, final=True),
    manager.BadText: _of(manager.BadText, 422),
    manager.BadPicture: _of(manager.BadPicture, 422),
    manager.BadGroup: _of(manager.BadGroup, 422),
    manager.NothingThere: _of(manager.NothingThere, 404),
    manager.NotPermitted: _of(manager.NotPermitted, 403),
    manager.InvitationVoid: _of(manager.InvitationVoid, 410, blames="invite"),
    manager.NotAccepted: _of(manager.NotAccepted, 422),
    manager.AskedTooMuch: _later("asked-too-much", 429, manager.AskedTooMuch.title, manager.AskedTooMuch.action),
    manager.OutcomeUnknown: OUTCOME_UNKNOWN,
    manager.Unavailable: _later("unavailable", 503, manager.Unavailable.title, manager.Unavailable.action),
    manager.ErasureUnfinished: _later(
        "erasure-unfinished", 503, manager.ErasureUnfinished.title, manager.ErasureUnfinished.action
    ),
    store.StoreOverloaded: _later(
        "store-overloaded", 503, "The event log has too much to write.", "Nothing was done; try again in a moment."
    ),
    store.StoreUnavailable: _later(
        "store-unavailable", 503, "The event log cannot be written.", "Nothing was done; the manager goes on by itself."
    ),
    store.StoreClosed: _later("stopping", 503, "The manager stops.", "Nothing was done; try again when it runs again."),
    store.NotStorable: ProblemType(
        code="not-storable", status=422, title="The data cannot be kept.", action=store.NotStorable.action
    ),
    store.OutcomeUnknown: OUTCOME_UNKNOWN,
}
"""Error class → problem. A subclass that is not listed is its parent's problem; what has no row is INTERNAL."""

OF_STATUS: dict[int, ProblemType] = {
    each.status: each
    for each in (
        BAD_REQUEST,
        NOT_FOUND,
        METHOD_NOT_ALLOWED,
        NOT_ACCEPTABLE,
        REQUEST_TIMEOUT,
        CONTENT_TOO_LARGE,
        UNSUPPORTED_MEDIA_TYPE,
        HEADERS_TOO_LARGE,
        TOO_MANY_UPLOADS,
        INTERNAL,
        NOT_IMPLEMENTED,
    )
}
"""What Falcon and waitress know by status alone."""

CATALOGUE: dict[str, ProblemType] = {
    each.code: each for each in (*vars().values(), *OF_ERROR.values()) if isinstance(each, ProblemType)
}
"""Every problem of this file, by its code."""


class RequestRefused(Exception):
    """Raised in this room: the request meets `kind` and goes no further."""

    def __init__(self, kind: ProblemType, detail: str | None = None, errors: list[FieldError] | None = None) -> None:
        super().__init__(detail or kind.title)
        self.kind = kind
        self.errors = errors or []


def kind_of(ex: Exception) -> ProblemType:
    """The problem that an exception is."""
    if isinstance(ex, RequestRefused):
        return ex.kind
    if isinstance(ex, store.StoreUnavailable) and ex.trouble == "full":
        return STORE_FULL
    return next((OF_ERROR[parent] for parent in type(ex).__mro__ if parent in OF_ERROR), INTERNAL)


def of_status(status: int) -> ProblemType:
    """The problem that a bare status is."""
    return OF_STATUS.get(status, BAD_REQUEST if status < 500 else INTERNAL)


def describe(kind: ProblemType, request: UUID, detail: str, errors: list[FieldError] | None = None) -> Problem:
    """The document that a caller gets."""
    if not errors and kind.blames:
        errors = [FieldError(field=kind.blames, location="body", detail=detail[:LONGEST_DETAIL])]
    return Problem(
        type=f"/problems/{kind.code}",
        title=kind.title,
        status=kind.status,
        detail=detail[:LONGEST_DETAIL],
        action=kind.action,
        instance=request.urn,
        errors=errors or [],
    )


def encode(problem: Problem) -> bytes:
    """The document's bytes; half characters that no JSON can carry become '?'."""
    try:
        return msgspec.json.encode(problem)
    except UnicodeEncodeError:
        readable = problem.detail.encode(errors="replace").decode()
        return msgspec.json.encode(msgspec.structs.replace(problem, detail=readable, errors=[]))
