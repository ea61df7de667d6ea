"""Nodes, the words of WhatsApp's stream, and their binary form.

A node has a tag, attributes and content, like XML; strings that occur often are tokens of one or two bytes, digits
and upper-case hex are packed two in a byte. Source: whatsmeow's binary/ (encoder.go, decoder.go, token/) and Baileys'
WABinary; the token tables themselves come from `pyaileys.wabinary.constants`.

JIDs are a type of their own because clients compare them as JIDs: `from="@s.whatsapp.net"` as a plain string is
not recognised as the server by whatsmeow.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import NamedTuple

from pyaileys.wabinary.constants import DOUBLE_BYTE_TOKENS, SINGLE_BYTE_TOKENS

from chatbot_erp.sandbox.jid import LID, USER, Jid

_LIST_EMPTY, _DICTIONARY_0 = 0, 236
_INTEROP_JID, _FB_JID, _AD_JID = 245, 246, 247
_LIST_8, _LIST_16, _JID_PAIR = 248, 249, 250
_HEX_8, _BINARY_8, _BINARY_20, _BINARY_32, _NIBBLE_8 = 251, 252, 253, 254, 255

_HEX = re.compile(r"[0-9A-F]{1,127}\Z")
_NIBBLE = re.compile(r"[0-9.\-]{1,127}\Z")
_PACK = str.maketrans("-.", "ab")
_UNPACK = str.maketrans("ab", "-.")

_TOKENS: dict[str, bytes] = {
    **{
        token: bytes((_DICTIONARY_0 + table, index))
        for table, tokens in reversed(list(enumerate(DOUBLE_BYTE_TOKENS)))
        for index, token in enumerate(tokens)
    },
    **{token: bytes((index,)) for index, token in enumerate(SINGLE_BYTE_TOKENS) if token},
}

Value = str | Jid
_NONE: Mapping[str, Value] = MappingProxyType({})


class Node(NamedTuple):
    """One word on the stream. Content is bytes, or further nodes, or a string where clients want a token."""

    tag: str
    attrs: Mapping[str, Value] = _NONE
    content: list[Node] | bytes | str | None = None

    def child(self, tag: str) -> Node | None:
        """The first child of that name."""
        return next((child for child in self.children if child.tag == tag), None)

    @property
    def children(self) -> list[Node]:
        return self.content if isinstance(self.content, list) else []

    @property
    def data(self) -> bytes:
        """The content as bytes; a client may have sent a token or packed digits for them."""
        if isinstance(self.content, bytes):
            return self.content
        return self.content.encode() if isinstance(self.content, str) else b""

    def text(self, name: str) -> str:
        """An attribute as a string, "" when it is missing."""
        return str(self.attrs.get(name, ""))


class NodeError(ValueError):
    """Raised when bytes are not a node."""


def encode(node: Node) -> bytes:
    """The node as a client reads it: a flags byte (0, not compressed), then the node."""
    out = bytearray(1)
    _write_node(out, node)
    return bytes(out)


def decode(data: bytes) -> Node:
    """The node a client wrote. Flag 2 says that zlib compressed it."""
    if not data:
        raise NodeError("an empty frame is no node")
    body = zlib.decompress(data[1:]) if data[0] & 2 else data[1:]
    try:
        return _Reader(body).node()
    except (IndexError, UnicodeDecodeError) as ex:
        raise NodeError(f"a frame of {len(data)} bytes is no node: {ex}") from ex


def _write_node(out: bytearray, node: Node) -> None:
    tag, attrs, content = node
    _write_list(out, 1 + 2 * len(attrs) + (content is not None))
    out += _string(tag)
    for key, value in attrs.items():
        out += _string(key)
        out += _jid(value) if isinstance(value, Jid) else _string(value)
    if content is None:
        return
    if isinstance(content, list):
        _write_list(out, len(content))
        for child in content:
            _write_node(out, child)
    elif isinstance(content, str):
        out += _string(content)
    else:
        out += _binary(content)


def _write_list(out: bytearray, size: int) -> None:
    if size == 0:
        out.append(_LIST_EMPTY)
    elif size < 256:
        out.append(_LIST_8)
        out.append(size)
    else:
        out.append(_LIST_16)
        out += size.to_bytes(2, "big")


@lru_cache(8192)
def _string(text: str) -> bytes:
    token = _TOKENS.get(text)
    if token is not None:
        return token
    if _NIBBLE.match(text):
        return _packed(_NIBBLE_8, text.translate(_PACK))
    if _HEX.match(text):
        return _packed(_HEX_8, text)
    return _binary(text.encode())


def _packed(tag: int, text: str) -> bytes:
    odd = len(text) % 2
    packed = bytes.fromhex(text + "f" * odd)
    return bytes((tag, len(packed) | odd << 7)) + packed


def _binary(data: bytes) -> bytes:
    size = len(data)
    if size < 256:
        return bytes((_BINARY_8, size)) + data
    if size < 1 << 20:
        return bytes((_BINARY_20,)) + size.to_bytes(3, "big") + data
    return bytes((_BINARY_32,)) + size.to_bytes(4, "big") + data


@lru_cache(8192)
def _jid(jid: Jid) -> bytes:
    if jid.device and jid.server in (USER, LID):
        return bytes((_AD_JID, jid.server == LID, jid.device)) + _string(jid.user)
    user = _string(jid.user) if jid.user else bytes((_LIST_EMPTY,))
    return bytes((_JID_PAIR,)) + user + _string(jid.server)


class _Reader:
    __slots__ = ("_at", "_data")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def node(self) -> Node:
        size = self._list_size(self._byte())
        if size == 0:
            raise NodeError("a node has no tag")
        tag = str(self._value())
        attrs: dict[str, Value] = {}
        for _ in range((size - 1) >> 1):
            key = str(self._value())
            value = self._value()
            if value is not None:
                attrs[key] = value
        return Node(tag, attrs, self._content() if size % 2 == 0 else None)

    def _content(self) -> list[Node] | bytes | str | None:
        tag = self._data[self._at]
        if tag in (_LIST_8, _LIST_16, _LIST_EMPTY):
            self._at += 1
            return [self.node() for _ in range(self._list_size(tag))]
        if tag in (_BINARY_8, _BINARY_20, _BINARY_32):
            self._at += 1
            return self._raw(self._size(tag))
        value = self._value()
        return None if value is None else str(value)

    def _value(self) -> Value | None:
        tag = self._byte()
        if 0 < tag < len(SINGLE_BYTE_TOKENS):
            return SINGLE_BYTE_TOKENS[tag]
        if tag == _LIST_EMPTY:
            return None
        if tag in (_BINARY_8, _BINARY_20, _BINARY_32):
            return self._raw(self._size(tag)).decode()
        if tag in (_NIBBLE_8, _HEX_8):
            return self._unpacked(tag)
        if tag in (_JID_PAIR, _AD_JID, _FB_JID, _INTEROP_JID):
            return self._read_jid(tag)
        if _DICTIONARY_0 <= tag < _DICTIONARY_0 + len(DOUBLE_BYTE_TOKENS):
            return DOUBLE_BYTE_TOKENS[tag - _DICTIONARY_0][self._byte()]
        raise NodeError(f"unknown token {tag} at {self._at}")

    def _read_jid(self, tag: int) -> Jid:
        if tag == _JID_PAIR:
            user, server = self._value(), self._value()
            return Jid(str(user or ""), str(server))
        if tag == _AD_JID:
            domain, device = self._byte(), self._byte()
            return Jid(str(self._value()), LID if domain == 1 else USER, device)
        user, device = self._value(), int.from_bytes(self._raw(2), "big")
        if tag == _INTEROP_JID:
            self._raw(2)
        return Jid(str(user), str(self._value()), device)

    def _unpacked(self, tag: int) -> str:
        size = self._byte()
        text = self._raw(size & 127).hex()
        text = text.translate(_UNPACK) if tag == _NIBBLE_8 else text.upper()
        return text[:-1] if size & 128 else text

    def _size(self, tag: int) -> int:
        if tag == _BINARY_8:
            return self._byte()
        return (
            int.from_bytes(self._raw(3), "big") & 0xFFFFF if tag == _BINARY_20 else int.from_bytes(self._raw(4), "big")
        )

    def _list_size(self, tag: int) -> int:
        if tag == _LIST_8:
            return self._byte()
        if tag == _LIST_16:
            return int.from_bytes(self._raw(2), "big")
        if tag == _LIST_EMPTY:
            return 0
        raise NodeError(f"token {tag} is no list")

    def _byte(self) -> int:
        byte = self._data[self._at]
        self._at += 1
        return byte

    def _raw(self, size: int) -> bytes:
        end = self._at + size
        if end > len(self._data):
            raise NodeError("a node ends too early")
        raw = self._data[self._at : end]
        self._at = end
        return raw
