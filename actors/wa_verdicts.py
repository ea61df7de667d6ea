"""What WhatsApp's refusals and whatsmeow's error texts mean for us.

The texts are those of the whatsmeow inside neonize 0.5.2 (send.go, user.go, request.go, socket/). What is not
certainly one of them stays `unknown` for a send: better a question to the caller than a message sent twice.
"""

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Literal

FailureReason = Literal[
    "not_on_whatsapp",
    "refused",
    "reachout_locked",
    "addressing_rejected",
    "too_many",
    "not_connected",
    "not_uploaded",
    "unknown",
]

LONGEST_BAN_S = 10 * 365 * 86400
"""No date can be made of any number."""

_CAUSES = {
    400: "unusable_session",
    401: "logged_out",
    402: "temporarily_banned",
    403: "locked",
    405: "client_outdated",
    406: "banned",
    409: "unusable_session",
    415: "unusable_session",
    418: "unusable_session",
    500: "unavailable",
    501: "unavailable",
    503: "unavailable",
}

_REFUSED = re.compile(r"server returned error ([0-9]{1,9})")
_REFUSALS: Mapping[int, FailureReason] = MappingProxyType(
    {421: "addressing_rejected", 429: "too_many", 463: "reachout_locked", 479: "addressing_rejected"}
)
"""What `<ack error=…>` is as far as anybody knows. 463: no new conversations, existing ones go on. 421 and 479: a group's
addressing mode, a device session or its address is out of date."""

_BEFORE_THE_SEND = (
    "failed to get LID for PN",
    "failed to get user info for",
    "no LID found for",
    "failed to get device list",
    "failed to get group members",
    "failed to get broadcast list members",
    "failed to fetch LID mappings",
    "failed to prefetch sessions",
    "failed to save cached sessions",
    "failed to marshal message",
    "failed to send message node: websocket not connected",
    "failed to send message node: frame socket is closed",
    "failed to send message node: frame too large",
    "can't send message to unknown server",
    "message recipient must be a user JID",
    "sending to non-status broadcast lists is not yet supported",
    "the store doesn't contain a device JID",
    "client is nil",
)
"""Raised before the message is handed to the network. A bare "websocket not connected" is none of them: it is also
what a repeated send says after the first may have gone through."""

_NO_CONNECTION = (
    "websocket not connected",
    "frame socket is closed",
    "websocket disconnected before",
    "info query timed out",
    "the store doesn't contain a device JID",
    "client is nil",
)


def cause_of_failure(code: int) -> str:
    """The row of the supervision table for a `<failure reason=…>` at login."""
    return _CAUSES.get(code, "socket_failed")


def cause_of_logout(reason: int) -> str:
    """The row of the supervision table for neonize's `LoggedOut.Reason`; the library has deleted the session then."""
    return {4: "locked", 5: "banned"}.get(reason, "logged_out")


def cause_of_raise(error: str) -> str:
    """The row of the supervision table for what `connect` raises.

    Mostly a first dial that failed. But neonize also gives up when it meets a code that it does not know: its events
    are proto2 with required enums, and Go cannot send them to us then.
    """
    if "TemporaryBan" in error:
        return "temporarily_banned"
    if "file is not a database" in error or "malformed" in error:
        return "unusable_session"
    if "failed to dial" not in error:
        return "socket_failed"
    if any(f"got {status}" in error for status in range(500, 600)) or "Service Unavailable" in error:
        return "unavailable"
    return "refused"


def end_of_ban(now: datetime, expire_s: int) -> datetime | None:
    """When a ban for `expire_s` seconds ends. None where WhatsApp has not said it: the library makes 0 of that."""
    return now + timedelta(seconds=min(expire_s, LONGEST_BAN_S)) if expire_s > 0 else None


def why_not_sent(error: str) -> FailureReason:
    """What the error of a send proves about the message."""
    if refusal := _REFUSED.fullmatch(error.strip()):
        return _REFUSALS.get(int(refusal[1]), "refused")
    if error.startswith("server returned error"):
        return "refused"
    if error.startswith(_BEFORE_THE_SEND):
        return why_not_resolved(error)
    return "unknown"


def why_not_uploaded(error: str) -> FailureReason:
    """What the error of asking where files go means; nothing has been sent, and no error says that nothing may be."""
    reason = why_not_resolved(error)
    return reason if reason in ("not_connected", "too_many") else "not_uploaded"


def why_not_resolved(error: str) -> FailureReason:
    """What the error of a question before the send means; nothing has been sent."""
    if error == "Function returned nothing.":
        return "not_on_whatsapp"
    if any(text in error for text in _NO_CONNECTION):
        return "not_connected"
    return "too_many" if "status 429" in error else "refused"
