"""All that can be asked of an instance; each may be refused, none has happened yet."""

from datetime import datetime

import msgspec

from chatbot_erp.actors.contents import Sendable
from chatbot_erp.actors.endpoint import EndpointCommand
from chatbot_erp.actors.frames import Observation
from chatbot_erp.actors.pacing import Pacing
from chatbot_erp.eventstore.events import WebhookAbandoned, WebhookDelivered


class CreateInstance(msgspec.Struct, frozen=True, kw_only=True):
    """Begin the life of a number under this name, with the kept session of `session_from` if there is one."""

    name: str
    webhook_url: str
    session_from: str | None


class RestartInstance(msgspec.Struct, frozen=True, kw_only=True):
    """Make a new socket. `cause` is a row of the supervision table."""

    cause: str


class RemoveInstance(msgspec.Struct, frozen=True, kw_only=True):
    """End this number here; with `unlink` the device link and the session go too."""

    unlink: bool


class SendMessage(msgspec.Struct, frozen=True, kw_only=True):
    """Send this. `number` is normalised: E.164 digits or a full jid."""

    command_id: str
    number: str
    content: Sendable


class ConfigurePacing(msgspec.Struct, frozen=True, kw_only=True):
    """Send so fast from now on."""

    pacing: Pacing


class Observed(msgspec.Struct, frozen=True, kw_only=True):
    """A socket saw something; `generation` says which of the instance's sockets."""

    generation: int
    observation: Observation
    at: datetime


class LoseSocket(msgspec.Struct, frozen=True, kw_only=True):
    """The supervisor knows that the socket of this generation is gone or no good, whatever the host would say."""

    generation: int
    cause: str


class DoubtPending(msgspec.Struct, frozen=True, kw_only=True):
    """What was in mid-send belonged to a socket that is gone: nobody will ever report on it."""

    cause: str


class MissMedia(msgspec.Struct, frozen=True, kw_only=True):
    """The file of a message was to be kept, and could not be fetched."""

    message_id: str
    reason: str


class RecordVerdict(msgspec.Struct, frozen=True, kw_only=True):
    """A delivery is settled. `round` says which one, where the event was to be told again."""

    verdict: WebhookDelivered | WebhookAbandoned
    round: int = 0


Command = (
    CreateInstance
    | RestartInstance
    | RemoveInstance
    | SendMessage
    | ConfigurePacing
    | Observed
    | LoseSocket
    | DoubtPending
    | MissMedia
    | RecordVerdict
    | EndpointCommand
)
