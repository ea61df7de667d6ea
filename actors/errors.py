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
    │   └── NotOnWhatsApp
    └── Failed                      ours or WhatsApp's
        ├── WhatsAppRefused         certain: it was not sent
        ├── OutcomeUnknown          nobody can say: never re-sent by itself
        └── Unavailable             certain: nothing was done; try again later

Each class has a stable `code` (the last part of a problem's `type`), a `title`, and an `action` for the caller.
"""

from typing import ClassVar


class ManagerError(Exception):
    """Root of this room's errors; the message is one sentence for people."""

    code: ClassVar[str]
    title: ClassVar[str]
    action: ClassVar[str]


class Refused(ManagerError):
    """The caller asked for something that cannot be; nothing changed."""


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
    action = "Give a text of 1 to 65,536 characters that is valid Unicode."


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


class NotOnWhatsApp(Refused):
    code = "not-on-whatsapp"
    title = "The number is not on WhatsApp."
    action = "Check the number; nothing was sent."


class Failed(ManagerError):
    """Something on our side or WhatsApp's went wrong."""


class WhatsAppRefused(Failed):
    code = "whatsapp-refused"
    title = "WhatsApp refused it."
    action = "Read the detail; nothing was sent."


class OutcomeUnknown(Failed):
    code = "outcome-unknown"
    title = "Nobody can say whether it was done."
    action = "Look for a later message.sent or message.ack before you send it again."


class Unavailable(Failed):
    code = "unavailable"
    title = "The manager cannot do it right now."
    action = "Nothing was done; try again after the time in Retry-After."
