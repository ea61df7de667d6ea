"""What WhatsApp messages of each kind say, as contents."""

import sys
from typing import Any

import pytest

import chatbot_erp.actors.host_preload  # noqa: F401  (neonize's protobufs without its shared library)
from chatbot_erp.actors.contents import (
    Audio,
    Card,
    Contact,
    Content,
    Document,
    Image,
    Location,
    Poll,
    Quote,
    Reaction,
    Reference,
    Sticker,
    Text,
    Video,
    Voice,
)
from chatbot_erp.actors.contents_received import (
    Album,
    Appointment,
    ButtonReply,
    Buttons,
    Choice,
    GroupInvite,
    Interactive,
    List,
    ListReply,
    Order,
    PollVote,
    Product,
    Template,
    Unknown,
)
from chatbot_erp.actors.wa_content import NESTED_AT_MOST, content_of
from chatbot_erp.actors.wa_kinds import View

e2e: Any = sys.modules["neonize.proto.waE2E.WAWebProtobufsE2E_pb2"]
Message = e2e.Message

ME = ("5511987654321@s.whatsapp.net", "999@lid")
DM = View(chat="111@lid", sender="111@lid", me=ME)
GROUP = View(chat="12036@g.us", sender="111@lid", me=ME)
FILE = {"mimetype": "image/jpeg", "fileLength": 3, "fileSHA256": b"\xab" * 32}
OF_FILE: dict[str, Any] = {"mime_type": "image/jpeg", "size": 3, "sha256": "ab" * 32}
TWO_NUMBERS = (
    "BEGIN:VCARD\r\nFN:Ana\r\nitem1.TEL;waid=551199999999:+55 11 99999-9999\r\nTEL;TYPE=home:+1 (202) 555-0143\r\n"
    "NOTE:TEL me\r\nEND:VCARD"
)
HYDRATED = e2e.TemplateMessage.HydratedFourRowTemplate(
    hydratedContentText="Sim?",
    hydratedButtons=[
        {"quickReplyButton": {"displayText": "Sim", "ID": "y"}, "index": 1},
        {"urlButton": {"displayText": "Ver"}},
    ],
)


def once(inner: Any) -> Any:
    return Message(viewOnceMessageV2=e2e.FutureProofMessage(message=inner))


@pytest.mark.parametrize(
    ("message", "content"),
    [
        (Message(conversation="Olá"), Text(text="Olá")),
        (Message(extendedTextMessage={"text": "see https://x"}), Text(text="see https://x")),
        (
            Message(imageMessage={**FILE, "caption": "a cat", "width": 4, "height": 3}),
            Image(text="a cat", width=4, height=3, **OF_FILE),
        ),
        (Message(imageMessage={"viewOnce": True}), Image(view_once=True)),
        (once(Message(imageMessage={})), Image(view_once=True)),
        (once(Message(audioMessage={"PTT": True})), Voice(view_once=True)),
        (Message(ephemeralMessage={"message": once(Message(videoMessage={}))}), Video(view_once=True)),
        (
            Message(videoMessage={**FILE, "seconds": 9, "gifPlayback": True, "width": 4, "height": 3}),
            Video(seconds=9, animation=True, width=4, height=3, **OF_FILE),
        ),
        (Message(ptvMessage={"seconds": 2}), Video(seconds=2, note=True)),
        (Message(audioMessage={**FILE, "seconds": 7}), Audio(seconds=7, **OF_FILE)),
        (Message(audioMessage={**FILE, "seconds": 7, "PTT": True}), Voice(seconds=7, **OF_FILE)),
        (
            Message(documentMessage={**FILE, "fileName": "bill.pdf", "title": "bill", "pageCount": 2}),
            Document(file_name="bill.pdf", pages=2, **OF_FILE),
        ),
        (
            Message(documentWithCaptionMessage={"message": Message(documentMessage={"caption": "read", "title": "t"})}),
            Document(text="read", file_name="t"),
        ),
        (
            Message(stickerMessage={**FILE, "isAnimated": True, "width": 512, "height": 512}),
            Sticker(animated=True, width=512, height=512, **OF_FILE),
        ),
        (
            Message(
                locationMessage={
                    "degreesLatitude": -23.5,
                    "degreesLongitude": -46.5,
                    "name": "Home",
                    "address": "Rua 1",
                    "comment": "here",
                }
            ),
            Location(text="here", latitude=-23.5, longitude=-46.5, name="Home", address="Rua 1"),
        ),
        (
            Message(liveLocationMessage={"degreesLatitude": 1.5, "caption": "coming", "accuracyInMeters": 5}),
            Location(text="coming", latitude=1.5, longitude=0.0, live=True, accuracy=5),
        ),
        (Message(locationMessage={"degreesLatitude": float("nan")}), Unknown(field="LocationMessage")),
        (
            Message(contactMessage={"displayName": "Ana", "vcard": TWO_NUMBERS}),
            Contact(contacts=(Card(name="Ana", numbers=("551199999999", "12025550143"), vcard=TWO_NUMBERS),)),
        ),
        (
            Message(contactsArrayMessage={"contacts": [{"displayName": "Ana"}, {"displayName": "Rui"}]}),
            Contact(contacts=(Card(name="Ana"), Card(name="Rui"))),
        ),
        (
            Message(
                pollCreationMessageV3={
                    "name": "When?",
                    "options": [{"optionName": "now"}, {"optionName": "later"}],
                    "selectableOptionsCount": 0,
                }
            ),
            Poll(text="When?", options=("now", "later"), selectable=0),
        ),
        (
            Message(pollUpdateMessage={"pollCreationMessageKey": {"ID": "P", "fromMe": True}}),
            PollVote(message=Reference(message_id="P", chat="111@lid", sender="111@lid"), sealed=True),
        ),
        (
            Message(reactionMessage={"text": "👍", "key": {"ID": "M", "fromMe": False, "remoteJID": ME[0]}}),
            Reaction(text="👍", message=Reference(message_id="M", chat="111@lid", sender=ME[0], is_own=True)),
        ),
        (
            Message(reactionMessage={"text": "", "key": {"ID": "M", "fromMe": True}}),
            Reaction(message=Reference(message_id="M", chat="111@lid", sender="111@lid")),
        ),
        (
            Message(buttonsResponseMessage={"selectedDisplayText": "Yes", "selectedButtonID": "y"}),
            ButtonReply(text="Yes", id="y"),
        ),
        (
            Message(templateButtonReplyMessage={"selectedDisplayText": "Yes", "selectedID": "y"}),
            ButtonReply(text="Yes", id="y"),
        ),
        (
            Message(
                interactiveResponseMessage={
                    "body": {"text": "Done"},
                    "nativeFlowResponseMessage": {"name": "form", "paramsJSON": "{}"},
                }
            ),
            ButtonReply(text="Done", id="form", parameters="{}"),
        ),
        (
            Message(
                listResponseMessage={"title": "Pizza", "description": "d", "singleSelectReply": {"selectedRowID": "p"}}
            ),
            ListReply(text="Pizza", id="p", description="d"),
        ),
        (
            Message(
                buttonsMessage={"contentText": "?", "buttons": [{"buttonID": "y", "buttonText": {"displayText": "Y"}}]}
            ),
            Buttons(text="?", choices=(Choice(id="y", title="Y"),)),
        ),
        (
            Message(listMessage={"title": "Menu", "sections": [{"rows": [{"rowID": "p", "title": "Pizza"}]}]}),
            List(text="Menu", choices=(Choice(id="p", title="Pizza"),)),
        ),
        (
            Message(templateMessage={"hydratedTemplate": HYDRATED}),
            Template(text="Sim?", choices=(Choice(id="y", title="Sim"), Choice(id="", title="Ver"))),
        ),
        (
            Message(
                interactiveMessage={
                    "body": {"text": "Pay"},
                    "nativeFlowMessage": {"buttons": [{"name": "pay", "buttonParamsJSON": "{}"}]},
                }
            ),
            Interactive(text="Pay", choices=(Choice(id="pay", title="{}"),)),
        ),
        (
            Message(
                groupInviteMessage={"groupJID": "1@g.us", "groupName": "G", "inviteCode": "C", "inviteExpiration": 9}
            ),
            GroupInvite(group="1@g.us", name="G", code="C", expires_at=9),
        ),
        (Message(eventMessage={"name": "Party", "startTime": 9}), Appointment(text="Party", starts_at=9)),
        (
            Message(orderMessage={"orderID": "1", "message": "2 please", "itemCount": 2}),
            Order(text="2 please", id="1", items=2),
        ),
        (Message(productMessage={"product": {"productID": "1", "title": "T"}}), Product(id="1", title="T")),
        (Message(albumMessage={"expectedImageCount": 2}), Album(images=2)),
        (Message(conversation="hi", messageContextInfo={"messageSecret": b"\0\xff"}), Text(text="hi")),
        (Message(senderKeyDistributionMessage={"groupID": "g"}, imageMessage={"caption": "c"}), Image(text="c")),
        (Message(sendPaymentMessage={}), Unknown(field="sendPaymentMessage")),
        (Message(), None),
    ],
)
def test_each_kind_of_message_is_a_content(message: Any, content: Content | None) -> None:
    assert content_of(message, DM) == content


CONTEXT: dict[str, Any] = {
    "stanzaID": "OLD",
    "participant": "5511987654321:7@s.whatsapp.net",
    "quotedMessage": {"imageMessage": {"caption": "which one?", "contextInfo": {"stanzaID": "OLDER"}}},
    "mentionedJID": ["222@lid", "5511987654321:7@s.whatsapp.net"],
    "isForwarded": True,
    "expiration": 86400,
}


@pytest.mark.parametrize(
    "message",
    [
        Message(extendedTextMessage={"contextInfo": CONTEXT}),
        Message(stickerMessage={"contextInfo": CONTEXT}),
        Message(ephemeralMessage={"message": {"imageMessage": {"contextInfo": CONTEXT}}}),
        Message(listResponseMessage={"contextInfo": CONTEXT}),
    ],
)
def test_quotes_mentions_and_forwards_stand_beside_whatever_is_said(message: Any) -> None:
    content: Any = content_of(message, GROUP)
    assert content.quoting == Quote(
        message_id="OLD", chat="12036@g.us", sender=ME[0], is_own=True, kind="image", text="which one?"
    )
    assert content.mentions == ("222@lid", ME[0])
    assert content.forwarded
    assert content.disappears_after == 86400


def test_in_a_group_a_reaction_is_to_a_message_of_the_participant_that_the_key_names() -> None:
    key = {"ID": "M", "fromMe": False, "remoteJID": "12036@g.us", "participant": "999:7@lid"}
    content: Any = content_of(Message(reactionMessage={"key": key}), GROUP)
    assert content.message == Reference(message_id="M", chat="12036@g.us", sender="999@lid", is_own=True)


def test_messages_within_messages_end_somewhere() -> None:
    message = Message(conversation="deep")
    for _ in range(NESTED_AT_MOST):
        message = Message(groupMentionedMessage={"message": message})
    assert content_of(message, DM) == Text(text="deep")
    deeper = Message(groupMentionedMessage={"message": message})
    assert content_of(deeper, DM) == Unknown(field="groupMentionedMessage")
