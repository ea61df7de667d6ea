"""Why the manager refuses or fails, in words a caller can act on.

    ManagerError
    ├── Refused                     the caller's to mend: nothing happened, nothing changed
    │   ├── BadName
    │   ├── BadWebhookUrl
    │   ├── BadNumber
    │   ├── BadMessage
    │   ├── NameTaken
    │   ├── InstanceNotFound
    │   ├── InstanceNotOperational
    │   ├── NotPairing
    │   ├── BadEndpoint
    │   ├── EndpointNotFound
    │   ├── NothingToDeliver
    │   ├── NotOnWhatsApp
    │   ├── BadText
    │   ├── BadPicture
    │   ├── BadGroup
    │   ├── NothingThere
    │   ├── NotPermitted
    │   ├── InvitationVoid
    │   ├── NotAccepted
    │   ├── SendingTooFast
    │   ├── AuditRunning
    │   ├── HistoryTooLong
    │   ├── MessageNotFound
    │   ├── NoMedia
    │   ├── MediaGone
    │   ├── BadContent
    │   ├── BadMedia
    │   ├── BadMediaUrl
    │   └── MediaTooLarge
    └── Failed                      ours or WhatsApp's
        ├── AskedTooMuch            certain: it was not done
        ├── WhatsAppRefused         certain: it was not sent
        │   ├── ReachoutLocked
        │   └── AddressingRejected
        ├── MediaUnavailable        certain: the file was not had
        ├── MediaNotUploaded        certain: nothing was sent; try again later
        ├── OutcomeUnknown          nobody can say: never re-sent by itself
        ├── ErasureUnfinished       begun, and on record: it goes on by itself
        └── Unavailable             certain: nothing was done; try again later

Each class has a stable `code` (the last part of a problem's `type`), a `title`, and an `action` for the caller.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar


class ManagerError(Exception):
    """Root of this room's errors; the message is one sentence for people.

    `on_record`: the log has what was asked, and that it failed. To ask another node would put it there once more.
    """

    code: ClassVar[str]
    title: ClassVar[str]
    action: ClassVar[str]
    on_record = False


class Refused(ManagerError):
    """The caller asked for something that cannot be; nothing changed."""

    field: str | None = None
    """Which field of a draft is to be mended, where one is."""


class BadName(Refused):
    code = "bad-name"
    title = "The name is not allowed."
    action = "Use 1 to 63 letters, digits, '-' or '_', beginning with a letter or digit."


class BadWebhookUrl(Refused):
    code = "bad-webhook-url"
    title = "The webhook URL is not allowed."
    action = "Give an absolute http:// or https:// URL without credentials that this manager may reach."


class BadNumber(Refused):
    code = "bad-number"
    title = "The number cannot be a WhatsApp number."
    action = (
        "Give country code, area code and number as digits (an optional '+' and separators are fine), or a full JID."
    )


class BadMessage(Refused):
    code = "bad-message"
    title = "The message cannot be sent as it is."
    action = "Give a text of 1 to 65,536 characters, not all of them space, that is valid Unicode."


class NameTaken(Refused):
    code = "name-taken"
    title = "An instance of this name exists."
    action = "Choose another name, or delete the instance first."


class InstanceNotFound(Refused):
    code = "instance-not-found"
    title = "There is no instance of this name."
    action = "Look at GET /instances for the names that exist, or create it."


class InstanceNotOperational(Refused):
    code = "instance-not-operational"
    title = "The instance is not connected."
    action = "Wait until its status is CONNECTED or DEGRADED, or pair it."


class NotPairing(Refused):
    code = "not-pairing"
    title = "The instance is not waiting for a phone."
    action = "A code can be had while the status is SCAN_QR_CODE; restart the instance for a new attempt."


class BadEndpoint(Refused):
    code = "bad-endpoint"
    title = "The endpoint cannot be like that."
    action = "Correct what the detail names; nothing was changed."


class EndpointNotFound(Refused):
    code = "endpoint-not-found"
    title = "The instance has no endpoint of this id."
    action = "Look at GET /instances/{name}/webhook for its endpoints; PATCH one with a url to make it."


class NothingToDeliver(Refused):
    code = "nothing-to-deliver"
    title = "There is no such event to deliver."
    action = "Look at GET /instances/{name}/events: what has a sequence can be delivered."


class NotOnWhatsApp(Refused):
    code = "not-on-whatsapp"
    title = "The number is not on WhatsApp."
    action = "Check the number; nothing was sent."


class BadText(Refused):
    code = "bad-text"
    title = "The text cannot be set as it is."
    action = "Give valid Unicode without NUL, not longer than WhatsApp allows (the detail says how long)."


class BadPicture(Refused):
    code = "bad-picture"
    title = "The picture cannot be set as it is."
    action = "Send a JPEG of at most 1 MiB as the body, with 'Content-Type: image/jpeg'."


class BadGroup(Refused):
    code = "bad-group"
    title = "This cannot be a group."
    action = "Give the group's JID (digits and '@g.us') as GET /instances/{name}/groups shows it."


class NothingThere(Refused):
    code = "nothing-there"
    title = "WhatsApp has no such thing."
    action = "The group does not exist, or the picture is not set."


class NotPermitted(Refused):
    code = "not-permitted"
    title = "WhatsApp does not let this number do that."
    action = "Only members see a group, mostly only its admins change it, and people may hide what they show."


class InvitationVoid(Refused):
    code = "invitation-void"
    title = "The invitation is not, or no longer, good."
    action = "Ask an admin of the group for a new link."


class NotAccepted(Refused):
    code = "not-accepted"
    title = "WhatsApp does not take it as it is."
    action = "Read the detail; nothing was changed by what it names."


class SendingTooFast(Refused):
    """Raised where an instance's own pace is outrun; `retry_after_s` is when the next message may go."""

    code = "sending-too-fast"
    title = "The instance sends no faster than its pacing allows."
    action = "Nothing was sent; send it again after the time in Retry-After, or change the instance's pacing."

    def __init__(self, retry_after_s: float) -> None:
        super().__init__(f"The next message may go in {retry_after_s:.1f} seconds.")
        self.retry_after_s = retry_after_s


class MessageNotFound(Refused):
    code = "message-not-found"
    title = "This instance has no message with this id."
    action = "Use a messageId that a webhook or an answer of this instance named, or the id of an accepted send."


class NoMedia(Refused):
    code = "no-media"
    title = "There is no file in this message."
    action = "Look at the message's type: images, videos, audio, voice, documents and stickers have one."


class MediaGone(Refused):
    code = "media-gone"
    title = "WhatsApp no longer has the file of this message."
    action = "Ask for it to be sent again; fetch files sooner, or keep them here with --media-keep-days."


class AuditRunning(Refused):
    code = "audit-running"
    title = "The log is being checked already."
    action = "Wait until the check that runs has ended, then ask again."


class HistoryTooLong(Refused):
    code = "history-too-long"
    title = "Too much has happened to the instance to look so far on in one call."
    action = (
        "Use 'chatbot-erp replay NAME --at MOMENT' on the manager's machine, or read the instance's events in pages."
    )


class BadContent(Refused):
    code = "bad-content"
    title = "The message cannot be sent as it is."
    action = "Correct what the detail names; nothing was sent."


class BadMedia(Refused):
    code = "bad-media"
    title = "The file cannot be sent as what it is said to be."
    action = "Convert it to what the detail asks for, or send it as a document."


class BadMediaUrl(Refused):
    code = "bad-media-url"
    title = "The file cannot be had from its URL."
    action = "Give an http:// or https:// URL that answers 200 with the file, without a redirect, and that this manager may reach."


class MediaTooLarge(Refused):
    code = "media-too-large"
    title = "The file is too large."
    action = (
        "Send a smaller one, or allow more with --media-max-mib; large files come as multipart/form-data or by URL."
    )


class Failed(ManagerError):
    """Something on our side or WhatsApp's went wrong."""


class AskedTooMuch(Failed):
    code = "asked-too-much"
    title = "WhatsApp wants to be asked less often."
    action = "It was not done; wait longer than Retry-After says, numbers that go on asking are banned."


class WhatsAppRefused(Failed):
    code = "whatsapp-refused"
    title = "WhatsApp refused it."
    action = "Read the detail; nothing was sent."


class ReachoutLocked(WhatsAppRefused):
    code = "reachout-locked"
    title = "WhatsApp does not let this number begin a conversation now (error 463)."
    action = (
        "Nothing was sent. Do not repeat it, each attempt can prolong the lock: let the other party write first, answer"
        " those who have, and wait for hours or days."
    )


class AddressingRejected(WhatsAppRefused):
    code = "addressing-rejected"
    title = "WhatsApp rejected how the message was addressed (errors 421 and 479)."
    action = (
        "Nothing was sent. Mostly a session or member list is out of date: send it again once, and if that fails"
        " restart the instance."
    )


class MediaUnavailable(Failed):
    code = "media-unavailable"
    title = "The file could not be had from WhatsApp."
    action = "Read the detail; a media server in trouble is worth another try in a minute, a damaged file is not."


class MediaNotUploaded(Failed):
    code = "media-not-uploaded"
    title = "The file could not be brought to WhatsApp's media servers."
    action = "Nothing was sent; try again after the time in Retry-After."


class OutcomeUnknown(Failed):
    code = "outcome-unknown"
    title = "Nobody can say whether it was done."
    action = "Look for a later message.sent or message.ack before you send it again."


class Unavailable(Failed):
    code = "unavailable"
    title = "The manager cannot do it right now."
    action = "Nothing was done; try again after the time in Retry-After."


class ErasureUnfinished(Failed):
    code = "erasure-unfinished"
    title = "An erasure is begun, but not finished."
    action = "It goes on by itself every ten minutes; mend what the detail names. To ask again is of no harm."


OF_FAILURE: Mapping[str, type[ManagerError]] = MappingProxyType(
    {
        "not_on_whatsapp": NotOnWhatsApp,
        "not_connected": InstanceNotOperational,
        "refused": WhatsAppRefused,
        "reachout_locked": ReachoutLocked,
        "addressing_rejected": AddressingRejected,
        "too_many": AskedTooMuch,
        "not_uploaded": MediaNotUploaded,
    }
)
"""What the reason of a `MessageFailed` is for callers."""
