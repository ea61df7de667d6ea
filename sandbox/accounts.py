"""Accounts: a number, its phone and the companions that are linked to it."""

from __future__ import annotations

import secrets
import time
from collections import OrderedDict, deque
from collections.abc import Hashable
from typing import TYPE_CHECKING, TypeVar

from chatbot_erp.sandbox import polls
from chatbot_erp.sandbox.app_state import AppState
from chatbot_erp.sandbox.bell import Bell
from chatbot_erp.sandbox.conditions import Conditions
from chatbot_erp.sandbox.contents import Content, Poll
from chatbot_erp.sandbox.control import CompanionReceipt, InboxMessage, Policy, Taken
from chatbot_erp.sandbox.control_presence import Sign
from chatbot_erp.sandbox.jid import LID, USER, Jid
from chatbot_erp.sandbox.keys import DJB, KeyPair
from chatbot_erp.sandbox.nodes import Node
from chatbot_erp.sandbox.profiles import USUAL_ABOUT, Picture
from chatbot_erp.sandbox.ratchet import Bundle, Identity, Sessions
from chatbot_erp.sandbox.sender_keys import SenderKeys

if TYPE_CHECKING:
    from chatbot_erp.sandbox.stream import Stream

# A network may run for hours under load: it remembers this many messages of each phone.
MEMORY = 50_000
_SEEN = 4_096


V = TypeVar("V")


class Memory(OrderedDict[str, V]):
    """The latest entries of a dictionary that would grow for ever."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self._size = size

    def note(self, key: str, value: V) -> None:
        self[key] = value
        if len(self) > self._size:
            self.popitem(last=False)


class Companion:
    """A linked device: what it has published, and what waits for it."""

    def __init__(self, account: Account, device: int, identity: bytes) -> None:
        self.account = account
        self.device = device
        self.jid = Jid(account.number, USER, device)
        self.lid = Jid(account.lid, LID, device)
        self.identity = identity
        self.registration_id = 0
        self.signed_pre_key: tuple[int, bytes, bytes] = (0, b"", b"")
        self.pre_keys: dict[int, bytes] = {}
        # Stanzas are kept until the companion says it has them, and are sent again at its next login.
        self.kept: dict[Hashable, Node] = {}
        self.offered: dict[tuple[str, ...], float] = {}
        self.seen: Memory[None] = Memory(_SEEN)
        self.stream: Stream | None = None
        self.greeted = False
        # Whether it has said that its person has WhatsApp open.
        self.shown = False

    @property
    def online(self) -> bool:
        return self.stream is not None and self.stream.active

    def deliver(self, key: Hashable, node: Node) -> None:
        """Send a stanza now if the companion listens, and keep it until it is acknowledged."""
        self.kept[key] = node
        if self.stream is not None:
            self.stream.offer(node)

    def sees(self, node: Node) -> None:
        """It is sent a stanza, maybe not for the first time."""
        self.offered.setdefault(name_of(node), time.time())

    def take(self, key: Hashable) -> None:
        """It has acknowledged what was kept under this key."""
        node = self.kept.pop(key, None)
        if node is not None:
            tag, name, kind = named = name_of(node)
            now = time.time()
            offered = self.offered.pop(named, now)
            self.account.taken.append(Taken(tag=tag, id=name, type=kind, at=now, offered=offered))

    def bundle(self) -> Bundle:
        """Its published keys; a one-time key is given away once."""
        pre_key_id = next(iter(self.pre_keys), None)
        return Bundle(
            registration_id=self.registration_id,
            identity=self.identity,
            signed_pre_key_id=self.signed_pre_key[0],
            signed_pre_key=self.signed_pre_key[1],
            pre_key_id=pre_key_id,
            pre_key=None if pre_key_id is None else self.pre_keys.pop(pre_key_id),
        )


def name_of(node: Node) -> tuple[str, str, str]:
    """By what a stanza that is kept is known to people."""
    return node.tag, node.text("id"), node.text("type")


class Account:
    """A number on the network. Its phone is always on, and lives here."""

    def __init__(self, number: str, lid: str, name: str, everybody: Conditions) -> None:
        self.number = number
        self.lid = lid
        self.name = name
        self.jid = Jid(number, USER)
        self.lid_jid = Jid(lid, LID)
        self.identity = Identity(KeyPair.generate(), KeyPair.generate(), secrets.randbelow(16380) + 1)
        self._signature: bytes | None = None
        self.companions: dict[int, Companion] = {}
        self._last_device = 0
        self.policy: Policy = "read"
        self.echo = False
        self.conditions = Conditions(everybody)
        self.bell = Bell()
        self.inbox: deque[InboxMessage] = deque(maxlen=MEMORY)
        self.received = 0
        self.senders: Memory[str] = Memory(MEMORY)
        # What this phone has sent, and to whom: a companion that could not read it will ask again.
        self.sent: Memory[tuple[bytes, Jid]] = Memory(MEMORY)
        # The polls this phone knows, and who asked: the key to the votes.
        self.polls: Memory[tuple[Poll, str]] = Memory(_SEEN)
        self.receipts: deque[CompanionReceipt] = deque(maxlen=MEMORY)
        # What this number's companions have acknowledged.
        self.taken: deque[Taken] = deque(maxlen=MEMORY)
        # Who looks at this number's presence, and under which of its addresses.
        self.watchers: dict[Companion | Account, Jid] = {}
        # Whether this phone's person has WhatsApp open.
        self.shown = False
        self.signs: deque[Sign] = deque(maxlen=_SEEN)
        # How often this phone has asked for a message that it could not read.
        self.asked: dict[str, int] = {}
        # The group that a message came through, where it did.
        self.chats: Memory[Jid] = Memory(MEMORY)
        self.sender_keys = SenderKeys()
        self.app_state = AppState()
        self.about = USUAL_ABOUT
        self.picture: Picture | None = None
        self.picture_hidden = False
        self.blocked: set[str] = set()
        # Whether whoever adds this number to a group has it there at once, or may only invite it.
        self.joins_when_added = True
        self._sessions: dict[tuple[str, int], Sessions] = {}

    @property
    def online(self) -> bool:
        return any(companion.online for companion in self.companions.values())

    @property
    def there(self) -> bool:
        """Whether others see this number as being online."""
        return self.shown or any(companion.shown for companion in self.companions.values())

    def note(self, sign: Sign) -> None:
        """This phone's person sees something that is no message."""
        self.signs.append(sign)
        self.bell.ring()

    @property
    def signed_pre_key_signature(self) -> bytes:
        """Made when first asked for: most phones are never written to."""
        if self._signature is None:
            self._signature = self.identity.key.sign(DJB + self.identity.signed_pre_key.public)
        return self._signature

    def link(self, identity: bytes) -> Companion:
        """A new companion, with a device number that was never used before."""
        self._last_device += 1
        companion = Companion(self, self._last_device, identity)
        self.companions[companion.device] = companion
        return companion

    def next_device(self) -> int:
        return self._last_device + 1

    def sessions(self, companion: Companion) -> Sessions:
        """This phone's Signal sessions with a companion, its own or another's."""
        key = companion.account.lid, companion.device
        sessions = self._sessions.get(key)
        if sessions is None:
            sessions = self._sessions[key] = Sessions(self.identity)
        return sessions

    def knows(self, companion: Companion) -> bool:
        """Whether this phone has written to that companion's number, or the companion to it."""
        return (companion.account.lid, companion.device) in self._sessions

    def forget(self, other: Account) -> None:
        """Lose the sessions with all companions of an account."""
        for key in [key for key in self._sessions if key[0] == other.lid]:
            del self._sessions[key]
        self.sender_keys.forget(other.lid)

    def note_poll(self, message_id: str, asker: Account, content: Content | None) -> None:
        """Votes can be read only by whoever has the poll."""
        if content is not None and content.poll is not None:
            self.polls.note(message_id, (content.poll, str(asker.lid_jid)))

    def read(self, message_id: str, sender: Account, content: Content, raw: bytes, group: Jid | None = None) -> None:
        """A message that a person can read has come in, to this number alone or through a group."""
        if content.kind == "vote":
            content = polls.counted(content, raw, self.polls.get(content.target), str(sender.lid_jid))
        self.note_poll(message_id, sender, content)
        message = InboxMessage(
            index=self.received,
            id=message_id,
            sender=sender.number,
            to=self.number,
            text=content.text,
            at=time.time(),
            sender_jid=str(sender.lid_jid),
            content=content,
            raw=raw,
            group=str(group) if group is not None else None,
        )
        if group is not None:
            self.chats.note(message_id, group)
        self.received += 1
        self.inbox.append(message)
        self.senders.note(message_id, sender.number)
        self.bell.ring()
