"""What is told up and down the supervision tree, besides the commands of an instance."""

from concurrent.futures import Future
from datetime import datetime
from typing import Literal

import msgspec

from chatbot_erp.actors.callers import Verdict
from chatbot_erp.actors.commands import Observed, RecordVerdict, SendMessage
from chatbot_erp.actors.house import Host
from chatbot_erp.actors.media_specs import Media
from chatbot_erp.actors.state import Farewell
from chatbot_erp.eventstore.placement import Placement


class Tiding(msgspec.Struct, frozen=True, kw_only=True):
    """Sent with `tell`, except where a docstring says `ask`."""


# to the supervisor


class Introduce(Tiding, frozen=True, kw_only=True):
    """Ask: an answer proves that the actor started. The supervisor answers its `House`; an instance publishes itself."""


class StartInstance(Tiding, frozen=True, kw_only=True):
    """Ask: start the actors of a new instance. Answers its ref; raises `NameTaken`."""

    instance: str
    name: str


class ForgetInstance(Tiding, frozen=True, kw_only=True):
    """Its first event could not be stored: nothing of it remains."""

    instance: str


class CreationDoubted(Tiding, frozen=True, kw_only=True):
    """Nobody knows whether its first event is stored: it is to be found out. `stopped` is the urn of the actor that was
    told to end for that, if one was.
    """

    instance: str
    stopped: str | None = None


class CreationSettled(Tiding, frozen=True, kw_only=True):
    """What the log has of it now is all that it will ever have of its creation."""

    instance: str


class Restore(Tiding, frozen=True, kw_only=True):
    """Ask: bring back what the log knows, without sockets yet. Answers how many instances."""


class Resume(Tiding, frozen=True, kw_only=True):
    """Ask: everything from the last life is in the log; make the sockets."""


class PlaceSocket(Tiding, frozen=True, kw_only=True):
    """An instance wants a socket of this generation; with `farewell` only to unlink its device, and to be erased then.

    With `kept` it wants none any more, but the session that was to be its own, for the next of its name.
    """

    instance: str
    generation: int
    pairing: bool
    session_from: str | None
    farewell: bool = False
    kept: bool = False


class EndSocketOf(Tiding, frozen=True, kw_only=True):
    """An instance wants no socket any more."""

    instance: str
    unlink: bool
    erase: bool
    farewell: Farewell | None = None


class SocketIsClosed(Tiding, frozen=True, kw_only=True):
    """A host says that nobody touches the session of this instance any more, and whether its device was unlinked."""

    instance: str
    host: str
    unlinked: bool = False


class SocketLost(Tiding, frozen=True, kw_only=True):
    """An instance lost its connection for this cause."""

    instance: str
    cause: str
    retry_at: datetime | None


class SocketHealthy(Tiding, frozen=True, kw_only=True):
    """An instance is connected."""

    instance: str


class RestartDue(Tiding, frozen=True, kw_only=True):
    """The delay of the healing plan of this number is over."""

    instance: str
    number: int


class RestartWanted(Tiding, frozen=True, kw_only=True):
    """A caller wants a new socket; what was planned and counted is void."""

    instance: str


class ActorFailed(Tiding, frozen=True, kw_only=True):
    """The actor of this instance with this urn stopped on an error; if it was replaced already, that is no news."""

    instance: str
    urn: str


class Pong(Tiding, frozen=True, kw_only=True):
    """The answer of an actor to `Ping`."""

    urn: str


class WebhookFailed(Tiding, frozen=True, kw_only=True):
    """The delivery actor of this endpoint stopped on an error."""

    instance: str
    endpoint: str


class WebhookDue(Tiding, frozen=True, kw_only=True):
    """It is time for another delivery actor of this endpoint, as the last one failed or hangs."""

    instance: str
    endpoint: str
    cause: Literal["webhook_failed", "webhook_stuck"]


class Drained(Tiding, frozen=True, kw_only=True):
    """Nothing is left to deliver to this endpoint of a removed instance."""

    instance: str
    endpoint: str


class StartsDue(Tiding, frozen=True, kw_only=True):
    """Time for the next sockets that wait for their turn."""


class Placements(Tiding, frozen=True, kw_only=True):
    """What this node has, of all nodes that share the log, and what of it others shall have."""

    mine: tuple[Placement, ...]


class LookAtLeaving(Tiding, frozen=True, kw_only=True):
    """Time to see how far an instance has come that goes to another node."""

    instance: str


class HandedOver(Tiding, frozen=True, kw_only=True):
    """The attempt to let go of an instance has ended, one way or the other."""

    instance: str


class Drain(Tiding, frozen=True, kw_only=True):
    """The end has begun: webhooks stop after the present attempt, nothing is restarted any more."""


class Look(Tiding, frozen=True, kw_only=True):
    """Time to look at hosts and sockets."""


class EndAll(Tiding, frozen=True, kw_only=True):
    """Ask: close all sockets without logout, then stop the actors below; both until a moment of monotonic time."""

    hosts_until: float
    actors_until: float


# to an instance


class Deliver(Tiding, frozen=True, kw_only=True):
    """Send this message. `caller` is running once it is taken, and gets the verdict, or why it was not taken.

    One that was cancelled before is not taken. Told, not asked: a caller that waited for an answer first and then for
    the verdict was woken twice a message.
    """

    command: SendMessage
    caller: Future[Verdict]


class Accept(Tiding, frozen=True, kw_only=True):
    """Ask: take this message. Answers a future that is done when it is on record; nobody waits for what becomes of it."""

    command: SendMessage


class AskRoom(Tiding, frozen=True, kw_only=True):
    """Ask: may a message be sent now? Raises what `Deliver` (`waits`) gives its caller, or `Accept`; nothing is spent."""

    waits: bool


class Heard(Tiding, frozen=True, kw_only=True):
    """A host said what a socket saw; `number` is what to confirm to that host once it is stored (0: nothing).

    `oldest` as `frames.Said` has it.
    """

    observed: Observed
    number: int
    oldest: int
    host: Host


class Ping(Tiding, frozen=True, kw_only=True):
    """The heartbeat: overtakes all other mail, so that only an actor that hangs in a message does not answer."""


class Came(Tiding, frozen=True, kw_only=True):
    """Told after all that one does first which came from another node: it is seen truly from now on."""


class IsQuiet(Tiding, frozen=True, kw_only=True):
    """Ask: is everything in the log that this instance was told?"""


class Settled(Tiding, frozen=True, kw_only=True):
    """Deliveries to an endpoint have come to an end."""

    verdicts: tuple[RecordVerdict, ...]


class RepeatDue(Tiding, frozen=True, kw_only=True):
    """Time to ask the host again for what could not be stored."""


class AskMedia(Tiding, frozen=True, kw_only=True):
    """Ask: have this file written to the path `target`. Answers a future; see `Downloads.order` for what is raised."""

    media: Media
    target: str


class AskPairingCode(Tiding, frozen=True, kw_only=True):
    """Ask: a code for the phone with these digits. Answers a future of the code."""

    number: str
