"""The way in: an HTTP CONNECT proxy whose other end is this process.

After `CONNECT web.whatsapp.com:443` the same TCP connection turns to TLS, with a certificate for that name, and then to
a websocket, which carries WhatsApp's frames: at first `WA`, 6, a dictionary version; then each frame behind its
length in three bytes (whatsmeow, socket/framesocket.go). After `CONNECT` to a media host it turns to TLS and HTTP.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from typing import TYPE_CHECKING, cast

from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import State
from websockets.server import ServerProtocol

from chatbot_erp.sandbox import media_host
from chatbot_erp.sandbox.faults import HangDial, Refuse
from chatbot_erp.sandbox.stream import Stream

if TYPE_CHECKING:
    from chatbot_erp.sandbox.network import NetworkState

_HOST = "web.whatsapp.com"
HOSTS = (_HOST, *media_host.HOSTS)
_REQUEST_LIMIT = 16_384
_HEADER_SIZE = 4
_PARTING = b"parting"
_PARTING_S = 0.1
_PARTING_AT_MOST_S = 10.0


class Door(asyncio.Protocol):
    """One connection, from its first byte to its end."""

    def __init__(self, network: NetworkState, tls: ssl.SSLContext) -> None:
        self._network = network
        self._tls = tls
        self._request = bytearray()
        self._frames = bytearray()
        self._transport: asyncio.Transport | None = None
        self._websocket: ServerProtocol | None = None
        self._stream: Stream | None = None
        self._flushing = False
        self._upgrade: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if self._stream is not None:
            self._stream.lost()

    def data_received(self, data: bytes) -> None:
        if self._websocket is not None:
            self._hear(self._websocket, data)
            return
        self._request += data
        if self._upgrade is not None:
            # TLS stands, but `start_tls` has not returned yet: answering now would be in plain text.
            return
        if b"\r\n\r\n" in self._request:
            self._admit(bytes(self._request))
        elif len(self._request) > _REQUEST_LIMIT:
            self.abort()

    def send(self, frame: bytes) -> None:
        """Send one frame, with its length before it, as one websocket message."""
        if self._websocket is None or self._transport is None or self._websocket.state is not State.OPEN:
            return
        self._websocket.send_binary(len(frame).to_bytes(3, "big") + frame)
        if not self._flushing:
            # An ack and its receipts leave together: one TLS record and one system call instead of three.
            self._flushing = True
            asyncio.get_running_loop().call_soon(self._flush)

    def close(self) -> None:
        """End the connection after what was sent has left."""
        self._flush()
        # A TLS transport that is closed twice forgets its socket, and cannot be aborted any more.
        if self._transport is not None and not self._transport.is_closing():
            self._transport.close()

    def part(self) -> None:
        """End the connection when the client has read what was sent.

        whatsmeow drops what it has read and not yet handled as soon as the end of the connection comes. A busy client
        would miss its last word; so it is asked for a sign of life first, and given a moment more.
        """
        if self._websocket is None or self._transport is None or self._websocket.state is not State.OPEN:
            self.close()
            return
        self._websocket.send_ping(_PARTING)
        self._flush()
        asyncio.get_running_loop().call_later(_PARTING_AT_MOST_S, self.close)

    def abort(self) -> None:
        """Reset the connection: what is on its way is lost."""
        if self._transport is None:
            return
        connection = self._transport.get_extra_info("socket")
        if connection is not None:
            # Without lingering the other side sees a reset (RST), not an orderly end (FIN).
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._transport.abort()

    def _admit(self, request: bytes) -> None:
        assert self._transport is not None
        method, _, rest = request.partition(b" ")
        host, _, port = rest.partition(b" ")[0].decode("latin-1").partition(":")
        if (refusal := self._network.conditions.use(Refuse)) is not None:
            self._network.counters.refused_total += 1
            self.abort() if refusal.reset else self._turn_away(b"503 Service Unavailable")
        elif self._network.conditions.use(HangDial) is not None:
            self._request.clear()
        elif method != b"CONNECT" or port != "443" or host not in HOSTS:
            # Only WhatsApp is played here: whoever sends other traffic this way is to notice.
            self._turn_away(b"403 Forbidden")
        else:
            # The client's TLS hello must not arrive before TLS listens.
            self._transport.pause_reading()
            self._transport.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            self._request.clear()
            self._upgrade = asyncio.get_running_loop().create_task(self._start_tls(self._transport, host))

    def _turn_away(self, status: bytes) -> None:
        assert self._transport is not None
        self._transport.write(b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        self._transport.close()

    async def _start_tls(self, transport: asyncio.Transport, host: str) -> None:
        try:
            secure = await asyncio.get_running_loop().start_tls(transport, self, self._tls, server_side=True)
        except (OSError, ssl.SSLError):
            # The client does not trust this network's CA, or has gone.
            transport.abort()
            return
        if secure is None:
            # It was closed in the meantime.
            return
        self._transport = secure
        if host != _HOST:
            self._hand_over(secure)
            return
        self._websocket = ServerProtocol(max_size=1 << 24)
        if self._request:
            self._hear(self._websocket, bytes(self._request))

    def _hand_over(self, transport: asyncio.Transport) -> None:
        """This connection is for the media host from now on."""
        reader = asyncio.StreamReader(limit=media_host.PIECE)
        reader.feed_data(bytes(self._request))
        protocol = asyncio.StreamReaderProtocol(reader, self._network.media.serve)
        transport.set_protocol(protocol)
        protocol.connection_made(transport)

    def _hear(self, websocket: ServerProtocol, data: bytes) -> None:
        websocket.receive_data(data)
        for event in websocket.events_received():
            if isinstance(event, Request):
                websocket.send_response(websocket.accept(event))
                if websocket.state is State.OPEN:
                    self._network.counters.connections_total += 1
            elif isinstance(event, Frame) and event.opcode in (Opcode.BINARY, Opcode.CONT):
                self._frames += event.data
                self._cut()
            elif isinstance(event, Frame) and event.opcode is Opcode.PONG and event.data == _PARTING:
                asyncio.get_running_loop().call_later(_PARTING_S, self.close)
        self._flush()

    def _cut(self) -> None:
        frames, at = self._frames, 0
        if self._stream is None:
            if len(frames) < _HEADER_SIZE:
                return
            self._stream = Stream(self._network, self, bytes(frames[:_HEADER_SIZE]))
            at = _HEADER_SIZE
        while len(frames) - at >= 3:
            end = at + 3 + int.from_bytes(frames[at : at + 3], "big")
            if len(frames) < end:
                break
            self._stream.hear(bytes(frames[at + 3 : end]))
            at = end
        del frames[:at]

    def _flush(self) -> None:
        self._flushing = False
        if self._websocket is None or self._transport is None or self._transport.is_closing():
            return
        written = self._websocket.data_to_send()
        if written:
            self._transport.write(b"".join(written))
            # An empty piece is the websocket's way of saying that it has ended.
            if not written[-1]:
                self._transport.close()
