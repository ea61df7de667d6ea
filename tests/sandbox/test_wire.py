"""The codec and the ciphers, against another implementation of them."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyaileys.auth.state import AuthenticationState
from pyaileys.auth.utils import init_auth_creds
from pyaileys.signal import SignalRepository
from pyaileys.signal.repository import PreKeyBundle, PreKeyBundleKey
from pyaileys.wabinary import decode_binary_node, encode_binary_node

from chatbot_erp.sandbox.door import Door
from chatbot_erp.sandbox.jid import LID, USER, Jid, spellings
from chatbot_erp.sandbox.keys import DJB, KeyPair
from chatbot_erp.sandbox.network import NetworkState
from chatbot_erp.sandbox.nodes import Node, decode, encode
from chatbot_erp.sandbox.ratchet import Bundle, CannotDecrypt, Identity, Sessions, damage

texts = st.text(min_size=1, max_size=300) | st.from_regex(r"[0-9.\-]{1,40}|[0-9A-F]{1,40}", fullmatch=True)
texts |= st.sampled_from(["message", "receipt", "s.whatsapp.net", "replaced", "offline_preview"])
users = st.from_regex(r"[0-9]{5,15}", fullmatch=True)
jids = st.builds(Jid, users, st.sampled_from([USER, LID]), st.integers(0, 255))
leaves = st.none() | st.binary(max_size=400)
nodes = st.recursive(
    st.builds(Node, texts, st.dictionaries(texts, texts | jids, max_size=4), leaves),
    lambda inner: st.builds(
        Node, texts, st.dictionaries(texts, texts | jids, max_size=4), st.lists(inner, min_size=1, max_size=4)
    ),
    max_leaves=8,
)


@given(nodes)
def test_a_node_is_read_as_it_was_written(node: Node) -> None:
    assert decode(encode(node)) == node


@given(nodes)
def test_another_codec_reads_the_same_node(node: Node) -> None:
    def same(ours: Node, theirs: Any) -> None:
        assert theirs.tag == ours.tag
        assert theirs.attrs == {key: str(value) for key, value in ours.attrs.items()}
        if ours.children:
            for one, other in zip(ours.children, theirs.content, strict=True):
                same(one, other)
        else:
            assert (theirs.content or b"") == ours.data

    theirs = decode_binary_node(encode(node))
    same(node, theirs)


def test_what_another_codec_writes_is_read() -> None:
    theirs = decode_binary_node(encode(Node("iq", {"to": Jid("551199", USER, 2), "id": "12.3"}, [Node("a", {}, b"x")])))
    assert decode(encode_binary_node(theirs)) == Node(
        "iq", {"to": Jid("551199", USER, 2), "id": "12.3"}, [Node("a", {}, b"x")]
    )


class _Keys:
    """pyaileys' key store, in memory."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str], Any] = {}

    async def get(self, kind: str, ids: list[str]) -> dict[str, Any]:
        return {one: self._kept.get((kind, one)) for one in ids}

    async def set(self, data: Any) -> None:
        self._kept |= {(kind, one): value for kind, items in data.items() for one, value in items.items()}

    async def clear(self) -> None:
        self._kept.clear()


def _identity() -> Identity:
    return Identity(KeyPair.generate(), KeyPair.generate(), 7)


def test_a_session_goes_both_ways_with_another_implementation() -> None:
    async def talk() -> None:
        creds, ours = init_auth_creds(), _identity()
        theirs, sessions = SignalRepository(AuthenticationState(creds, _Keys())), Sessions(ours)
        bundle = PreKeyBundle(
            ours.registration_id,
            DJB + ours.key.public,
            PreKeyBundleKey(1, DJB + ours.signed_pre_key.public, ours.key.sign(DJB + ours.signed_pre_key.public)),
        )
        await theirs.inject_outgoing_session("1@lid", bundle)
        for turn in range(4):
            for n in range(3):
                text = f"{turn} {n}".encode()
                assert sessions.decrypt(*await theirs.encrypt_message("1@lid", data=text)) == text
            for n in range(3):
                kind, ciphertext = sessions.encrypt(f"{turn} {n}".encode())
                read = await theirs.decrypt_message("1@lid", message_type=kind, ciphertext=ciphertext)
                assert read == f"{turn} {n}".encode()

    asyncio.run(talk())


def test_a_damaged_message_changes_nothing_in_the_session() -> None:
    one, other = _identity(), _identity()
    alice, bob = Sessions(one), Sessions(other)
    alice.open(Bundle(7, other.key.public, 1, other.signed_pre_key.public))
    for _ in range(2):
        kind, ciphertext = alice.encrypt(b"good")
        with pytest.raises(CannotDecrypt):
            bob.decrypt(kind, damage(kind, ciphertext))
        assert bob.decrypt(kind, ciphertext) == b"good"
        assert alice.decrypt(*bob.encrypt(b"fine")) == b"fine"


@pytest.mark.parametrize(
    ("number", "found"),
    [
        ("5511987654321", {"5511987654321", "551187654321"}),
        ("551187654321", {"551187654321", "5511987654321"}),
        ("551133334444", {"551133334444"}),
        ("14155550123", {"14155550123"}),
    ],
)
def test_only_brazilian_mobiles_have_two_spellings(number: str, found: set[str]) -> None:
    assert set(spellings(number)) == found


class TlsTransport(asyncio.Transport):
    """As asyncio's own over TLS: closed twice, it has nothing left to be asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.closings = 0
        self.aborted = False

    def is_closing(self) -> bool:
        return self.closings > 0

    def close(self) -> None:
        self.closings += 1

    def get_extra_info(self, name: str, default: object = None) -> object:
        assert self.closings < 2, "it has forgotten its socket"
        return default

    def abort(self) -> None:
        self.aborted = True


def test_a_connection_that_is_ended_twice_can_still_be_reset(tmp_path: Path) -> None:
    transport = TlsTransport()
    door = Door(NetworkState(tmp_path / "media"), ssl.create_default_context())
    door.connection_made(transport)
    door.close()
    door.close()
    door.abort()
    assert transport.aborted
