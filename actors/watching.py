"""What the supervisor makes of what it sees when it looks around. Pure; ages are seconds."""

from enum import Enum

from chatbot_erp.actors.directory import InstanceView
from chatbot_erp.actors.hosts import Carried
from chatbot_erp.actors.state import Instance
from chatbot_erp.actors.supervision import REMEDIES, TIMED, Remedy
from chatbot_erp.eventstore.events import Status

OPENING_PATIENCE_S = 45.0
"""A socket that has led nowhere by then, say because its login is not answered, is made anew."""

LOST_PATIENCE_S = 60.0
"""An instance that is down for so long, curable, and in nobody's plan: the word of its loss was lost."""

OPENING = frozenset({Status.INITIALIZING, Status.SCAN_QR_CODE})
"""Where a socket is wanted that is not connected yet."""


class Succession(Enum):
    """How an actor that was put in another's place goes on."""

    ORDER_SOCKET = "have the socket made that the log has ordered, which its predecessor may not have come to"
    KEEP_SOCKET = "go on with the one that is there"
    AWAIT_TIME = "wait until WhatsApp wants to see it again"
    RESTART = "have a new socket made"
    REST = "nothing: a person must act"


def succession(state: Instance, *, has_socket: bool) -> Succession:
    """How the successor of an actor goes on in this state; `has_socket` where one is there, or about to be."""
    if state.status in OPENING:
        return Succession.ORDER_SOCKET
    if has_socket:
        return Succession.KEEP_SOCKET
    if state.reason in TIMED:
        return Succession.AWAIT_TIME
    return Succession.RESTART if helps_by_itself(state.reason) else Succession.REST


def leads_nowhere(slot: Carried, view: InstanceView, *, qr_timeout_s: float) -> str | None:
    """The cause for which an open socket is given up, if it is."""
    if view.status is Status.INITIALIZING and slot.age_s > OPENING_PATIENCE_S:
        return "socket_failed"
    if slot.pairing and slot.age_s > qr_timeout_s:
        return "qr_expired"
    return None


def unheard_loss(view: InstanceView, *, age_s: float, has_socket: bool) -> str | None:
    """The cause of a loss for which nobody has planned anything, though it can be cured.

    An actor that failed takes the mail in its box with it, and a restart may have been among it. `age_s`: of its status.
    """
    if age_s < LOST_PATIENCE_S:
        return None
    if view.status is Status.DISCONNECTED and helps_by_itself(view.reason):
        return view.reason or "socket_failed"
    if view.status in OPENING and not has_socket:
        return "socket_failed"
    return None


def comes_back(view: InstanceView | None, *, quarantined: bool) -> bool:
    """Whether this instance is there, and will be connected again without anybody's doing before long."""
    if view is None or quarantined:
        return False
    return helps_by_itself(view.reason) and view.reason not in TIMED


def helps_by_itself(reason: str | None) -> bool:
    """Whether a restart may cure what an instance has, without anybody's doing."""
    return REMEDIES.get(reason or "", Remedy.RESTART_NOW) not in (Remedy.NONE, Remedy.AWAIT_PERSON, Remedy.REMOVE)
