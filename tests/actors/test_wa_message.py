"""What the protobufs of the WhatsApp library say, in our words."""

import json
import sys
from datetime import UTC, datetime
from typing import Any

import pytest

import chatbot_erp.actors.host_preload  # noqa: F401  (neonize's protobufs without its shared library)
from chatbot_erp.actors import wa_message

neonize: Any = sys.modules["neonize.proto.Neonize_pb2"]
e2e: Any = sys.modules["neonize.proto.waE2E.WAWebProtobufsE2E_pb2"]
Message = e2e.Message

MARIA = neonize.JID(User="111", Server="lid", Device=3, RawAgent=0, Integrator=0, IsEmpty=False)
MARIAS_PHONE = neonize.JID(User="552191234567", Server="s.whatsapp.net", Device=0, RawAgent=0, Integrator=0)
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


def event(message: Any, **changes: Any) -> Any:
    info = neonize.MessageInfo(MessageSource=source(**changes), ID="ABC", Pushname="Maria", Timestamp=1_700_000_000_123)
    return neonize.Message(Info=info, Message=message)


def test_a_text_comes_with_both_jids_and_without_devices() -> None:
    seen = wa_message.received(event(Message(conversation="Olá")))
    assert seen is not None
    assert (seen.message_id, seen.jid, seen.jid_alt, seen.participant) == (
        "ABC",
        "111@lid",
        "552191234567@s.whatsapp.net",
        None,
    )
    assert (seen.push_name, seen.kind, seen.text) == ("Maria", "text", "Olá")
    assert seen.sent_at == datetime.fromtimestamp(1_700_000_000.123, UTC)
    assert json.loads(seen.raw) == {"conversation": "Olá"}


def test_in_a_group_the_chat_is_the_group_and_the_participant_wrote() -> None:
    seen = wa_message.received(event(Message(conversation="hi"), Chat=jid("12036", "g.us"), IsGroup=True))
    assert seen is not None
    assert (seen.jid, seen.participant) == ("12036@g.us", "111@lid")


def test_what_comes_through_a_broadcast_list_is_a_message_of_its_sender() -> None:
    seen = wa_message.received(event(Message(conversation="hi"), Chat=jid("17000", "broadcast")))
    assert seen is not None
    assert seen.jid == "111@lid"


@pytest.mark.parametrize(
    "changes", [{"IsFromMe": True}, {"Chat": jid("status", "broadcast")}], ids=["own", "status broadcast"]
)
def test_what_nobody_else_wrote_to_us_is_left_out(changes: dict[str, Any]) -> None:
    assert wa_message.received(event(Message(conversation="hi"), **changes)) is None


@pytest.mark.parametrize(
    ("message", "kind", "text"),
    [
        (Message(extendedTextMessage=e2e.ExtendedTextMessage(text="see https://x")), "text", "see https://x"),
        (Message(imageMessage=e2e.ImageMessage(caption="a cat")), "image", "a cat"),
        (Message(imageMessage=e2e.ImageMessage()), "image", ""),
        (Message(videoMessage=e2e.VideoMessage(caption="a film")), "video", "a film"),
        (Message(ptvMessage=e2e.VideoMessage()), "video", ""),
        (Message(documentMessage=e2e.DocumentMessage(fileName="bill.pdf")), "document", "bill.pdf"),
        (Message(audioMessage=e2e.AudioMessage(PTT=True)), "audio", ""),
        (Message(stickerMessage=e2e.StickerMessage()), "sticker", ""),
        (Message(locationMessage=e2e.LocationMessage(name="Home", degreesLatitude=1.5)), "location", "Home"),
        (Message(liveLocationMessage=e2e.LiveLocationMessage(caption="here")), "location", "here"),
        (Message(contactMessage=e2e.ContactMessage(displayName="Ana")), "contact", "Ana"),
        (Message(contactsArrayMessage=e2e.ContactsArrayMessage(displayName="2 people")), "contact", "2 people"),
        (Message(reactionMessage=e2e.ReactionMessage(text="\U0001f44d")), "reaction", "\U0001f44d"),
        (Message(pollCreationMessageV3=e2e.PollCreationMessage(name="When?")), "poll", "When?"),
        (Message(pollUpdateMessage=e2e.PollUpdateMessage()), "poll_vote", ""),
        (Message(listResponseMessage=e2e.ListResponseMessage(title="Pizza")), "list_reply", "Pizza"),
        (
            Message(buttonsResponseMessage=e2e.ButtonsResponseMessage(selectedDisplayText="Yes")),
            "button_reply",
            "Yes",
        ),
        (
            Message(
                ephemeralMessage=e2e.FutureProofMessage(
                    message=Message(
                        viewOnceMessage=e2e.FutureProofMessage(message=Message(imageMessage=e2e.ImageMessage()))
                    )
                )
            ),
            "image",
            "",
        ),
        (
            Message(
                protocolMessage=e2e.ProtocolMessage(
                    type=e2e.ProtocolMessage.MESSAGE_EDIT, editedMessage=Message(conversation="better")
                )
            ),
            "edit",
            "better",
        ),
        (
            Message(conversation="hi", messageContextInfo=e2e.MessageContextInfo(messageSecret=b"\0\xff")),
            "text",
            "hi",
        ),
        (
            Message(
                senderKeyDistributionMessage=e2e.SenderKeyDistributionMessage(groupID="g"),
                imageMessage=e2e.ImageMessage(caption="c"),
            ),
            "image",
            "c",
        ),
        (Message(sendPaymentMessage=e2e.SendPaymentMessage()), "other", ""),
    ],
)
def test_each_kind_of_content_has_a_name_and_its_text(message: Any, kind: str, text: str) -> None:
    seen = wa_message.received(event(message))
    assert seen is not None
    assert (seen.kind, seen.text) == (kind, text)
    json.loads(seen.raw)


@pytest.mark.parametrize(
    "message",
    [
        Message(protocolMessage=e2e.ProtocolMessage(type=e2e.ProtocolMessage.REVOKE)),
        Message(protocolMessage=e2e.ProtocolMessage(type=e2e.ProtocolMessage.APP_STATE_SYNC_KEY_SHARE)),
        Message(senderKeyDistributionMessage=e2e.SenderKeyDistributionMessage(groupID="g")),
        Message(messageContextInfo=e2e.MessageContextInfo()),
        Message(pinInChatMessage=e2e.PinInChatMessage()),
        Message(),
    ],
)
def test_what_devices_tell_each_other_is_left_out(message: Any) -> None:
    assert wa_message.received(event(message)) is None


def test_any_unicode_and_no_unicode_at_all_is_valid_json_and_text() -> None:
    odd = '"\\\u2028\u0000\U0001f600\u202e</script>'
    seen = wa_message.received(event(Message(conversation=odd)))
    assert seen is not None
    assert seen.text == odd
    assert json.loads(seen.raw)["conversation"] == odd
    assert seen.raw.isascii()
    broken = Message.FromString(b"\x0a\x03\xff\xfea")
    seen = wa_message.received(event(broken))
    assert seen is not None
    assert seen.text == "\ufffd\ufffda"
    json.loads(seen.raw)


def test_numbers_that_json_lacks_do_not_break_it() -> None:
    place = e2e.LocationMessage(degreesLatitude=float("nan"), degreesLongitude=float("inf"))
    seen = wa_message.received(event(Message(locationMessage=place)))
    assert seen is not None
    assert json.loads(seen.raw)["locationMessage"]["degreesLatitude"] == "NaN"


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
    info = neonize.MessageInfo(MessageSource=source(), ID="ABC")
    seen = wa_message.undecryptable(neonize.UndecryptableMessage(Info=info, IsUnavailable=True, DecryptFailMode=1))
    assert seen is not None
    assert (seen.message_id, seen.jid, seen.unavailable) == ("ABC", "111@lid", True)
    assert wa_message.undecryptable(neonize.UndecryptableMessage(Info=info, DecryptFailMode=2)) is None
