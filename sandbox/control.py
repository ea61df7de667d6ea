"""What a test can ask of the network, and what it is told: the words on the control connection.

One request, one reply, each a line of JSON. A request that waits is held by the server; nobody polls.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from chatbot_erp.sandbox.contents import Content
from chatbot_erp.sandbox.control_frames import Frame as _Frame
from chatbot_erp.sandbox.control_frames import Request as _Request
from chatbot_erp.sandbox.control_people import PeopleRequest
from chatbot_erp.sandbox.control_presence import PresenceRequest
from chatbot_erp.sandbox.faults import Fault

PATIENCE_S = 180.0
"""How long who waits for something waits for it, where nothing else is said: a start alone may take more than a minute."""

Acknowledgement = Literal["delivered", "read", "played"]
Policy = Literal["none", "delivered", "read", "played"]


class Address(_Frame, frozen=True):
    """Where a network is found, and whom a client must trust to enter it."""

    control: str
    proxy: str
    ca_file: str
    root_key: str


class PhoneView(_Frame, frozen=True):
    """A phone as the network knows it."""

    number: str
    lid: str
    name: str
    online: bool
    companions: int


class Linked(_Frame, frozen=True):
    """A companion now belongs to the phone."""

    jid: str
    lid: str


class InboxMessage(_Frame, frozen=True, gc=False):
    """A message that a phone can read. `sender` and `to` are numbers, `group` is the JID of the group it came through;
    `index` counts from 0 in this phone's inbox.

    `sender_jid` is the sender's LID, `content` what the message says, `raw` its protobuf. `text` is also the caption,
    or the emoji.
    """

    index: int
    id: str
    sender: str
    to: str
    text: str
    at: float
    sender_jid: str
    content: Content
    raw: bytes
    group: str | None = None

    @property
    def kind(self) -> str:
        """What it is, in the words of `contents.Content`."""
        return self.content.kind


class MediaAccess(_Frame, frozen=True):
    """Where a phone uploads to, and what shows who it is."""

    host: str
    auth: str


class CompanionReceipt(_Frame, frozen=True):
    """What the companion said about a message this phone sent: "" is delivered, "inactive" delivered to a
    client that is not marked online, then "read", "played", "retry"."""

    message_id: str
    type: str


class Taken(_Frame, frozen=True):
    """A stanza that a companion has acknowledged, for the first time `at`: it is not sent again. `tag` is message,
    receipt or notification; the `id` of a receipt is that of its message. `offered` is when it was first sent."""

    tag: str
    id: str
    type: str
    at: float
    offered: float


class Stats(_Frame, frozen=True):
    """Counters since the start, and what is open now. In and out are seen from the network."""

    connections: int
    online: int
    accounts: int
    connections_total: int
    refused_total: int
    logins_total: int
    messages_in: int
    messages_late: int
    """Came in while acks were slow: counted at once, and again in `messages_in` when accepted."""
    messages_out: int
    receipts_in: int
    receipts_out: int
    retries_in: int
    undecryptable: int


class Describe(_Request, frozen=True):
    pass


class RegisterPhone(_Request, frozen=True):
    number: str
    name: str | None = None
    lid: str | None = None


class Scan(_Request, frozen=True):
    number: str
    qr: str
    timeout_s: float


class EnterCode(_Request, frozen=True):
    number: str
    code: str
    timeout_s: float


class Send(_Request, frozen=True):
    """`message` is a protobuf."""

    number: str
    to: str
    message: bytes


class SendAgain(_Request, frozen=True):
    number: str
    message_id: str


class OpenMedia(_Request, frozen=True):
    number: str


class ForgetMedia(_Request, frozen=True):
    direct_path: str


class ReadInbox(_Request, frozen=True):
    number: str
    after: int = 0


class ReadTaken(_Request, frozen=True):
    number: str


class AwaitMessage(_Request, frozen=True):
    number: str
    sender: str | None
    text: str | None
    kind: str | None
    after: int
    timeout_s: float


class AwaitInbox(_Request, frozen=True):
    number: str
    count: int
    timeout_s: float


class AwaitReceipt(_Request, frozen=True):
    number: str
    message_id: str
    type: str | None
    timeout_s: float


class AwaitPresence(_Request, frozen=True):
    number: str
    online: bool
    timeout_s: float


class ReadPhone(_Request, frozen=True):
    number: str


class SetPolicy(_Request, frozen=True):
    number: str
    policy: Policy


class SetEcho(_Request, frozen=True):
    number: str
    on: bool


class Acknowledge(_Request, frozen=True):
    number: str
    message_id: str
    type: Acknowledgement


class PlayFault(_Request, frozen=True):
    fault: Fault
    number: str | None = None


class Heal(_Request, frozen=True):
    number: str | None = None


class ReadStats(_Request, frozen=True):
    pass


Request = (
    Describe
    | RegisterPhone
    | Scan
    | EnterCode
    | Send
    | SendAgain
    | OpenMedia
    | ForgetMedia
    | ReadInbox
    | ReadTaken
    | AwaitMessage
    | AwaitInbox
    | AwaitReceipt
    | AwaitPresence
    | ReadPhone
    | SetPolicy
    | SetEcho
    | Acknowledge
    | PlayFault
    | Heal
    | ReadStats
    | PeopleRequest
    | PresenceRequest
)


class Answered(_Frame, frozen=True, tag=True):
    value: msgspec.Raw


class Refused(_Frame, frozen=True, tag=True):
    reason: str
    timed_out: bool = False


Reply = Answered | Refused
