"""What the protobufs of the WhatsApp library say, in our words."""

import json
import sys
from datetime import UTC, datetime
from typing import Any

import pytest
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from hypothesis import example, given
from hypothesis import strategies as st

import chatbot_erp.actors.host_preload  # noqa: F401  (neonize's protobufs without its shared library)
from chatbot_erp.actors import wa_message
from chatbot_erp.actors.frames import Said, SocketReceived, SocketSawEdit, SocketSawRevocation, encode_frame

neonize: Any = sys.modules["neonize.proto.Neonize_pb2"]
e2e: Any = sys.modules["neonize.proto.waE2E.WAWebProtobufsE2E_pb2"]
Message = e2e.Message

MARIA = neonize.JID(User="111", Server="lid", Device=3, RawAgent=0, Integrator=0, IsEmpty=False)
MARIAS_PHONE = neonize.JID(User="552191234567", Server="s.whatsapp.net", Device=0, RawAgent=0, Integrator=0)
ME = ("5511987654321@s.whatsapp.net", "999@lid")
SENT_AT = datetime.fromtimestamp(1_700_000_000.123, UTC)
NOBODY = neonize.JID(User="", Server="", Device=0, RawAgent=0, Integrator=0, IsEmpty=True)


def jid(user: str, server: str) -> Any:
    return neonize.JID(User=user, Server=server, Device=0, RawAgent=0, Integrator=0, IsEmpty=False)


def source(**changes: Any) -> Any:
    fields = {
        "Chat": jid("111", "lid"),
        "Sender": MARIA,
        "SenderAlt": MARIAS_PHONE,
        "IsFromMe": False,
        "IsGroup": False,
    }
    return neonize.MessageSource(**(fields | changes))


def event(message: Any, *, once: bool = False, **changes: Any) -> Any:
    info = neonize.MessageInfo(MessageSource=source(**changes), ID="ABC", Pushname="Maria", Timestamp=1_700_000_000_123)
    return neonize.Message(Info=info, Message=message, IsViewOnce=once)


def reception(message: Any, **changes: Any) -> SocketReceived:
    seen = wa_message.received(event(message, **changes))
    assert isinstance(seen, SocketReceived)
    return seen


def offer(attributes: list[tuple[str, Any]], nodes: list[Any]) -> Any:
    attrs = [
        neonize.NodeAttrs(name=name, text=value) if isinstance(value, str) else neonize.NodeAttrs(name=name, jid=value)
        for name, value in attributes
    ]
    meta = neonize.BasicCallMeta(timestamp=1_700_000_000, callCreator=MARIA, callCreatorAlt=MARIAS_PHONE, callID="C1")
    return neonize.CallOffer(basicCallMeta=meta, data=neonize.Node(Tag="offer", Attrs=attrs, Nodes=nodes))


def test_a_text_comes_with_both_jids_and_without_devices() -> None:
    seen = reception(Message(conversation="Olá"))
    assert (seen.message_id, seen.jid, seen.jid_alt, seen.participant) == (
        "ABC",
        "111@lid",
        "552191234567@s.whatsapp.net",
        None,
    )
    assert (seen.push_name, seen.kind, seen.text) == ("Maria", "text", "Olá")
    assert seen.sent_at == SENT_AT
    assert json.loads(seen.raw) == {"conversation": "Olá"}


def test_in_a_group_the_chat_is_the_group_and_the_participant_wrote() -> None:
    seen = reception(Message(conversation="hi"), Chat=jid("12036", "g.us"), IsGroup=True)
    assert (seen.jid, seen.participant) == ("12036@g.us", "111@lid")


def test_what_comes_through_a_broadcast_list_is_a_message_of_its_sender() -> None:
    seen = reception(Message(conversation="hi"), Chat=jid("17000", "broadcast"))
    assert seen.jid == "111@lid"


@pytest.mark.parametrize(
    "changes", [{"IsFromMe": True}, {"Chat": jid("status", "broadcast")}], ids=["own", "status broadcast"]
)
def test_what_nobody_else_wrote_to_us_is_left_out(changes: dict[str, Any]) -> None:
    assert wa_message.received(event(Message(conversation="hi"), **changes)) is None


def test_what_cannot_be_understood_is_handed_on_all_the_same() -> None:
    seen = reception(Message(sendPaymentMessage=e2e.SendPaymentMessage()))
    assert (seen.kind, seen.text, json.loads(seen.content)) == ("unknown", "", {"field": "sendPaymentMessage"})
    assert json.loads(seen.raw) == {"sendPaymentMessage": {}}


@pytest.mark.parametrize(
    "message",
    [
        Message(protocolMessage=e2e.ProtocolMessage(type=e2e.ProtocolMessage.REVOKE)),
        Message(protocolMessage=e2e.ProtocolMessage(type=e2e.ProtocolMessage.MESSAGE_EDIT)),
        Message(protocolMessage=e2e.ProtocolMessage(type=e2e.ProtocolMessage.APP_STATE_SYNC_KEY_SHARE)),
        Message(senderKeyDistributionMessage=e2e.SenderKeyDistributionMessage(groupID="g")),
        Message(messageContextInfo=e2e.MessageContextInfo()),
        Message(pinInChatMessage=e2e.PinInChatMessage()),
        Message(),
    ],
)
def test_what_devices_tell_each_other_is_left_out(message: Any) -> None:
    assert wa_message.received(event(message)) is None


def test_an_edit_names_the_message_that_it_changes() -> None:
    notice = e2e.ProtocolMessage(
        type=e2e.ProtocolMessage.MESSAGE_EDIT,
        key={"remoteJID": "1@s.whatsapp.net", "fromMe": True, "ID": "OLD"},
        editedMessage=Message(conversation="better"),
    )
    seen = wa_message.received(event(Message(protocolMessage=notice)))
    assert isinstance(seen, SocketSawEdit)
    assert (seen.message_id, seen.edit_id, seen.jid, seen.kind, seen.text) == (
        "OLD",
        "ABC",
        "111@lid",
        "text",
        "better",
    )
    assert (seen.jid_alt, seen.push_name, seen.edited_at) == ("552191234567@s.whatsapp.net", "Maria", SENT_AT)


def test_an_admin_takes_back_what_another_wrote() -> None:
    key = {"remoteJID": "12036@g.us", "fromMe": False, "ID": "OLD", "participant": "222@lid"}
    notice = e2e.ProtocolMessage(type=e2e.ProtocolMessage.REVOKE, key=key)
    seen = wa_message.received(event(Message(protocolMessage=notice), Chat=jid("12036", "g.us"), IsGroup=True))
    assert isinstance(seen, SocketSawRevocation)
    assert (seen.message_id, seen.jid, seen.participant) == ("OLD", "12036@g.us", "111@lid")


def test_what_can_be_seen_once_is_said_by_the_event_not_by_the_message() -> None:
    seen = wa_message.received(event(Message(imageMessage=e2e.ImageMessage()), once=True))
    assert isinstance(seen, SocketReceived)
    assert json.loads(seen.content)["viewOnce"] is True


def test_a_vote_says_what_was_chosen_where_it_could_be_decrypted() -> None:
    vote = Message(pollUpdateMessage=e2e.PollUpdateMessage(pollCreationMessageKey={"ID": "POLL", "fromMe": False}))
    sealed = wa_message.received(event(vote), ME)
    poll = {"messageId": "POLL", "chat": "111@lid", "sender": ME[0], "isOwn": True}
    assert isinstance(sealed, SocketReceived)
    assert (sealed.kind, json.loads(sealed.content)) == ("poll_vote", {"message": poll, "sealed": True})
    opened = wa_message.received(event(vote), ME, [b"\xab" * 32])
    assert isinstance(opened, SocketReceived)
    assert json.loads(opened.content) == {"message": poll, "options": ["ab" * 32]}
    taken_back = wa_message.received(event(vote), ME, [])
    assert isinstance(taken_back, SocketReceived)
    assert json.loads(taken_back.content) == {"message": poll}


@given(st.text() | st.text('\0\u202e\u200f\ufeff\U0001f600\U0010ffff"\\\n'))
@example("x" * 65_536)
@example("\U0001f468\u200d\U0001f469\u200d\U0001f467" * 9_000)
def test_any_text_arrives_as_it_was_and_json_stays_json(text: str) -> None:
    for message in (Message(conversation=text), Message(imageMessage=e2e.ImageMessage(caption=text))):
        seen = reception(message)
        assert seen.text == text
        assert json.loads(seen.raw) in ({"conversation": text}, {"imageMessage": {"caption": text}})
        assert seen.raw.isascii()
        assert isinstance(json.loads(seen.content), dict)


@given(st.binary(min_size=1, max_size=40))
@example(b"\xed\xa0\x80")
@example(b"\xff\xfe\0")
def test_bytes_that_are_no_text_become_text_and_nothing_is_lost_around_them(noise: bytes) -> None:
    """A lone surrogate is such bytes on the wire: there is no other way for one to arrive."""
    seen = reception(Message.FromString(b"\x0a" + bytes([len(noise)]) + noise))
    assert seen.text == noise.decode(errors="replace")
    assert seen.raw.isascii()
    json.loads(seen.raw)
    seen.text.encode()


@given(st.binary(max_size=200))
def test_no_bytes_at_all_make_a_message_that_breaks_the_reader(noise: bytes) -> None:
    try:
        message = Message.FromString(noise)
    except DecodeError:
        return
    seen = wa_message.received(event(message), ME)
    if isinstance(seen, SocketReceived | SocketSawEdit):
        json.loads(seen.raw)
        json.loads(seen.content)
        encode_frame(Said(instance="i", generation=1, number=1, observation=seen))


def test_numbers_that_json_lacks_do_not_break_it() -> None:
    place = e2e.LocationMessage(degreesLatitude=float("nan"), degreesLongitude=float("inf"))
    seen = reception(Message(locationMessage=place))
    assert seen.kind == "unknown"
    assert json.loads(seen.raw)["locationMessage"]["degreesLatitude"] == "NaN"


def test_a_call_says_who_calls_and_how() -> None:
    seen = wa_message.call(offer([("call-id", "C1")], [neonize.Node(Tag="audio"), neonize.Node(Tag="video")]), ME)
    assert seen is not None
    assert (seen.call_id, seen.jid, seen.jid_alt, seen.group, seen.video) == (
        "C1",
        "111@lid",
        "552191234567@s.whatsapp.net",
        None,
        True,
    )
    assert seen.called_at == datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)


def test_a_call_to_a_group_names_the_group() -> None:
    seen = wa_message.call(offer([("media", "audio"), ("group-jid", jid("12036", "g.us"))], []), ME)
    assert seen is not None
    assert (seen.group, seen.video) == ("12036@g.us", False)


def test_ones_own_call_from_the_phone_is_left_out() -> None:
    assert wa_message.call(offer([], []), ("111@lid",)) is None


@pytest.mark.parametrize(("edit", "by_admin"), [("7", False), ("8", True), ("", False)])
def test_a_revocation_says_whether_it_was_done_with_an_admins_right(edit: str, by_admin: bool) -> None:
    key = {"ID": "OLD", "fromMe": edit != "8"}
    seen = event(Message(protocolMessage=e2e.ProtocolMessage(type=e2e.ProtocolMessage.REVOKE, key=key)), IsGroup=True)
    seen.Info.Edit = edit
    revoked = wa_message.received(seen)
    assert isinstance(revoked, SocketSawRevocation)
    assert (revoked.message_id, revoked.by_admin) == ("OLD", by_admin)


@pytest.mark.parametrize(("name", "ack"), [("DELIVERED", 2), ("READ", 3), ("PLAYED", 4)])
def test_receipts_of_the_other_party_become_acknowledgements(name: str, ack: int) -> None:
    seen = wa_message.receipt(
        neonize.Receipt(
            MessageSource=source(), MessageIDs=["A", "B"], Type=neonize.Receipt.ReceiptType.Value(name), Timestamp=1
        )
    )
    assert seen is not None
    assert (seen.message_ids, seen.jid, seen.participant, seen.ack) == (("A", "B"), "111@lid", None, ack)


@pytest.mark.parametrize(
    "name",
    ["SENDER", "RETRY", "READ_SELF", "PLAYED_SELF", "SERVER_ERROR", "INACTIVE", "PEER_MSG", "HISTORY_SYNC", None],
)
def test_what_is_said_between_devices_is_no_acknowledgement(name: str | None) -> None:
    receipt = neonize.Receipt(MessageSource=source(), MessageIDs=["A"], Timestamp=1)
    if name is not None:
        receipt.Type = neonize.Receipt.ReceiptType.Value(name)
    assert wa_message.receipt(receipt) is None


def test_receipts_of_our_own_devices_are_left_out() -> None:
    assert wa_message.receipt(neonize.Receipt(MessageSource=source(IsFromMe=True), MessageIDs=["A"], Type=4)) is None


def test_a_message_that_cannot_be_read_is_told_unless_nobody_should_see_it() -> None:
    info = neonize.MessageInfo(MessageSource=source(), ID="ABC", Pushname="Maria", Timestamp=1_700_000_000_123)
    seen = wa_message.undecryptable(neonize.UndecryptableMessage(Info=info, IsUnavailable=True, DecryptFailMode=1))
    assert seen is not None
    assert (seen.message_id, seen.jid, seen.unavailable) == ("ABC", "111@lid", True)
    assert (seen.jid_alt, seen.push_name, seen.sent_at) == ("552191234567@s.whatsapp.net", "Maria", SENT_AT)
    assert wa_message.undecryptable(neonize.UndecryptableMessage(Info=info, DecryptFailMode=2)) is None


def test_of_an_event_that_cannot_be_read_it_is_told_whose_it_is_or_at_least_that_it_came() -> None:
    info = event(Message()).Info
    seen = wa_message.unreadable(info)
    assert seen is not None
    assert (seen.message_id, seen.jid, seen.push_name, seen.unavailable) == ("ABC", "111@lid", "Maria", False)
    nobody, other = wa_message.unreadable(neonize.MessageInfo()), wa_message.unreadable(neonize.MessageInfo())
    assert nobody is not None
    assert other is not None
    assert nobody.message_id != other.message_id
    assert (nobody.jid, nobody.sent_at) == ("", None)
    assert wa_message.unreadable(event(Message(), IsFromMe=True).Info) is None


def test_a_moment_that_is_none_is_now() -> None:
    seen = event(Message(conversation="x"))
    seen.Info.Timestamp = 2**62
    received = wa_message.received(seen)
    assert isinstance(received, SocketReceived)
    assert received.sent_at >= SENT_AT
