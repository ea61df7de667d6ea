"""One client's stream: the handshake, then who it is, then nodes in both directions."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from cryptography.exceptions import InvalidTag

from chatbot_erp.sandbox import letters, pairing, post, presence, queries
from chatbot_erp.sandbox.faults import CutShort, LoginFailure, Refuse, Silence
from chatbot_erp.sandbox.jid import SERVER_JID
from chatbot_erp.sandbox.nodes import Node, NodeError, decode, encode
from chatbot_erp.sandbox.noise import Channel, Handshake
from chatbot_erp.sandbox.wire import DecodeError

if TYPE_CHECKING:
    from chatbot_erp.sandbox.accounts import Companion
    from chatbot_erp.sandbox.door import Door
    from chatbot_erp.sandbox.network import NetworkState

# After these the client erases its session (whatsmeow's ConnectFailureReason.IsLoggedOut): it cannot come again.
_UNLINKING = (401, 403, 406)

_ROUND_TRIP_S = 0.1
"""After which a login is refused for good: over a real line nothing comes sooner. neonize 0.5.2 begins to listen when its
dial is over, and where the session has been erased by then it waits for ever, and says nothing."""


class Stream:
    """Between the handshake and the end of a connection.

    `active` is a companion that has logged in and has said that it listens (`<iq xmlns=passive><active/>`): only then
    does WhatsApp send what it kept, and then what is new.
    """

    def __init__(self, network: NetworkState, door: Door, header: bytes) -> None:
        self.network = network
        self._door = door
        self._handshake: Handshake | None = Handshake(network.identity, header)
        self._greeted = False
        self._parting = False
        self._channel: Channel | None = None
        self._held: list[Node] = []
        self._late: list[Callable[[], None]] = []
        self._ids = 0
        self.active = False
        self.companion: Companion | None = None
        self.pairing: pairing.Pairing | None = None
        network.streams.add(self)

    def hear(self, frame: bytes) -> None:
        """Take one frame from the client. What cannot be understood ends the connection, as WhatsApp does it."""
        try:
            if self._channel is not None:
                plaintext = self._channel.decrypt(frame)
                if not self.silent and not self._parting:
                    self._dispatch(decode(plaintext))
            elif not self._greeted:
                assert self._handshake is not None
                self._door.send(self._handshake.hello(frame))
                self._greeted = True
            else:
                assert self._handshake is not None
                static, payload, self._channel = self._handshake.finish(frame)
                self._handshake = None
                self._identify(static, payload)
        except (InvalidTag, DecodeError, NodeError):
            self._door.abort()

    def send(self, node: Node) -> None:
        """Send a node now; a silent stream says nothing, ever."""
        if self._channel is not None and not self.silent:
            self._door.send(self._channel.encrypt(encode(node)))

    def offer(self, node: Node) -> None:
        """Send a stanza that is kept anyway: now, when the silence is healed, or at the next login."""
        if not self.active:
            return
        if self.silent:
            self._held.append(node)
        else:
            assert self.companion is not None
            self.companion.sees(node)
            self.send(node)

    def release(self) -> None:
        """The silence is over."""
        held, self._held = self._held, []
        for node in held:
            self.offer(node)

    @property
    def silent(self) -> bool:
        conditions = self.companion.account.conditions if self.companion else self.network.conditions
        return conditions.get(Silence) is not None

    def next_id(self) -> str:
        """An id for a question of the server's own."""
        self._ids += 1
        return f"{id(self) & 0xFFFFFF}-{self._ids}"

    def end(self, code: int, conflict: str | None = None) -> None:
        """Say why, then close (whatsmeow, connectionevents.go)."""
        children = [Node("conflict", {"type": conflict})] if conflict else None
        self._part(_stream_error(code, children))

    def complain(self, code: int) -> None:
        """Say what is wrong, and leave it at that."""
        self.send(_stream_error(code))

    def abort(self) -> None:
        """Reset the connection without a word."""
        self._door.abort()

    def lost(self) -> None:
        """The connection is gone, whoever ended it."""
        self.network.streams.discard(self)
        self.active = False
        if self.pairing is not None:
            self.pairing.abandon()
        companion = self.companion
        if companion is not None:
            if companion.stream is self:
                companion.stream = None
                presence.show(companion.account, companion, False)
            companion.account.bell.ring()

    def activate(self) -> None:
        """The companion listens: give it what was kept, framed as WhatsApp frames it, then the news."""
        companion = self.companion
        if companion is None or self.active:
            return
        self.active = True
        kept = list(companion.kept.values())
        messages = sum(node.tag == "message" for node in kept)
        if kept:
            news = sum(node.tag == "notification" for node in kept)
            counts = {"count": len(kept), "appdata": 0, "message": messages, "notification": news}
            counts["receipt"] = len(kept) - messages - news
            preview = Node("offline_preview", {name: str(count) for name, count in counts.items()})
            self.send(Node("ib", {"from": SERVER_JID}, [preview]))
            for node in kept:
                self.offer(node._replace(attrs={**node.attrs, "offline": "0"}))
        self.send(Node("ib", {"from": SERVER_JID}, [Node("offline", {"count": str(len(kept))})]))
        letters.greet(self.network, companion)
        companion.account.bell.ring()
        if (short := companion.account.conditions.get(CutShort)) is not None:
            asyncio.get_running_loop().call_later(short.after_s, self.abort)

    def _identify(self, static: bytes, payload: Any) -> None:
        if payload.HasField("devicePairingData"):
            self.pairing = pairing.Pairing(self, static, payload.devicePairingData)
            self.pairing.begin()
            return
        account = self.network.accounts.get(str(payload.username))
        companion = account.companions.get(payload.device) if account else None
        conditions = account.conditions if account else self.network.conditions
        if account is not None and conditions.use(Refuse) is not None:
            self.network.counters.refused_total += 1
            self.abort()
            return
        failure = conditions.use(LoginFailure)
        if failure is None and companion is None:
            failure = LoginFailure(reason=401)
        if failure is not None:
            if companion is not None and failure.reason in _UNLINKING:
                queries.unlink(companion.account, companion)
            self._fail(failure)
            return
        assert companion is not None
        before, companion.stream = companion.stream, self
        self.companion = companion
        if before is not None:
            before.end(440, "replaced")
        self.network.counters.logins_total += 1
        self.send(Node("success", {"t": str(int(time.time())), "lid": companion.lid}))
        if not payload.passive:
            self.activate()

    def _fail(self, failure: LoginFailure) -> None:
        attrs = {"reason": str(failure.reason), "location": "sandbox"}
        if failure.reason == 402:
            attrs["code"] = str(failure.code)
            if failure.expire_s is not None:
                attrs["expire"] = str(failure.expire_s)
        last_word = Node("failure", dict(attrs))
        if failure.reason in _UNLINKING:
            asyncio.get_running_loop().call_later(_ROUND_TRIP_S, self._part, last_word)
        else:
            self._part(last_word)

    def _part(self, last_word: Node) -> None:
        """Say a last word, and hang up when it was heard."""
        if self._parting:
            return
        self.send(last_word)
        self._parting, self.active = True, False
        self._door.part()

    def _dispatch(self, node: Node) -> None:
        if node.tag == "iq":
            if node.attrs.get("type") in ("get", "set"):
                queries.answer(self, node)
            elif self.pairing is not None:
                self.pairing.settle(node)
        elif self.companion is not None:
            post.take(self.network, self.companion, node)

    def later(self, delay_s: float, node: Node) -> None:
        """Take a node as if it came in `delay_s` seconds from now, or when `hurry` is called."""
        companion = self.companion
        if companion is None:
            return

        def take() -> None:
            timer.cancel()
            self._late.remove(take)
            post.accept(self.network, companion, node)

        self._late.append(take)
        timer = asyncio.get_running_loop().call_later(delay_s, take)

    def hurry(self) -> None:
        """Take now what was to be taken later, in order."""
        for take in tuple(self._late):
            take()


def _stream_error(code: int, children: list[Node] | None = None) -> Node:
    return Node("stream:error", {"code": str(code)}, children)
