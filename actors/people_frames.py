"""The messages between manager and socket host that are about people and groups."""

from chatbot_erp.actors.frame import Frame
from chatbot_erp.actors.questions import AnyAnswer, AnyQuestion, Refusal
from chatbot_erp.eventstore.events import BlocklistChanged, GroupJoined, GroupUpdated, PresenceChanged


class Ask(Frame, frozen=True, kw_only=True):
    """Put a question about people or groups to WhatsApp, beside whatever is being sent."""

    instance: str
    request: str
    question: AnyQuestion


class SocketAnswered(Frame, frozen=True, kw_only=True):
    """What WhatsApp answered to `Ask`."""

    request: str
    answer: AnyAnswer


class SocketDeclined(Frame, frozen=True, kw_only=True):
    """There is no answer to `Ask`."""

    request: str
    reason: Refusal
    detail: str


Reply = SocketAnswered | SocketDeclined
"""What somebody waits for. It goes past the instance, whose life it does not touch."""


class SocketJoinedGroup(Frame, frozen=True, kw_only=True):
    """WhatsApp says that this number is in a group now. `version` is its word for the list of members, if it has one."""

    joined: GroupJoined
    version: str


class SocketSawGroupChange(Frame, frozen=True, kw_only=True):
    """WhatsApp says that somebody changed a group."""

    change: GroupUpdated


class SocketSawPresence(Frame, frozen=True, kw_only=True):
    """Somebody who is watched came, went, or does something."""

    changed: PresenceChanged


class SocketSawBlocklist(Frame, frozen=True, kw_only=True):
    """The block list changed: by the phone, or because we asked for it."""

    changes: tuple[BlocklistChanged, ...]
