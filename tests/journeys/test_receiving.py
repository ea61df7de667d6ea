"""What others send, in all its kinds, as the webhook and the log tell it."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from chatbot_erp.sandbox.client import Network, Phone
from chatbot_erp.sandbox.composing import Context, wrapped
from chatbot_erp.sandbox.contents import Contact
from chatbot_erp.sandbox.faults import Unavailable, Undecryptable
from chatbot_erp.sandbox.wire import proto
from receiving_world import World, lid, one_number

NewPhone = Callable[[str], Phone]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, network: Network) -> Iterator[World]:
    with one_number(tmp_path_factory.mktemp("world"), network, "551190000001") as world:
        yield world


@pytest.fixture
def customer(new_phone: NewPhone) -> Phone:
    return new_phone("Maria")


def test_a_message_that_cannot_be_read_is_told_and_so_is_its_second_copy(world: World, customer: Phone) -> None:
    world.shop.fault(Undecryptable(sender=customer.number, text="agora sim"))
    (told,) = world.told("message.undecryptable", lid(customer))
    assert (told["whatsapp"]["jidAlt"], told["whatsapp"]["pushName"]) == (customer.jid, "Maria")
    assert told["unavailable"] is False
    (again,) = world.told("message.received", lid(customer))
    assert again["message"]["text"] == "agora sim"
    assert again["whatsapp"]["messageId"] == told["whatsapp"]["messageId"]
    metrics = world.manager.call("GET", "/metrics").text.splitlines()
    (counted,) = (line for line in metrics if line.startswith('chatbot_erp_events_total{type="message.undecryptable"}'))
    assert float(counted.split()[-1]) >= 1


def test_what_its_own_phone_writes_is_told_to_nobody_and_not_on_record(world: World, customer: Phone) -> None:
    world.shop.send(customer.number, "do celular")
    customer.receive(text="do celular")
    world.message(customer.send(world.shop.number, "recebi"))
    told = {each.payload["message"]["text"] for each in world.receiver.deliveries(event="message.received")}
    assert "recebi" in told
    assert "do celular" not in told
    assert not [event for event in world.manager.events("empresa_x") if "do celular" in str(event["data"])]


def test_what_whatsapp_tells_twice_is_told_and_on_record_once(world: World, customer: Phone) -> None:
    message_id = customer.send(world.shop.number, "uma vez")
    world.message(message_id)
    customer.send_again(message_id)
    world.message(customer.send(world.shop.number, "depois"))
    told = world.told("message.received", lid(customer), count=2)
    assert [each["message"]["text"] for each in told] == ["uma vez", "depois"]
    recorded = world.manager.events("empresa_x", "message.received")
    assert [event["data"]["messageId"] for event in recorded].count(message_id) == 1


def test_a_status_broadcast_is_told_to_nobody_and_not_on_record(world: World, customer: Phone) -> None:
    world.message(customer.send(world.shop.number, "antes"))
    status = customer.send("status@broadcast", "de férias")
    customer.wait_receipt(status)
    world.message(customer.send(world.shop.number, "depois"))
    assert status not in str([each.payload for each in world.receiver.deliveries()])
    assert status not in str(world.manager.events("empresa_x"))


def test_messages_of_the_system_are_told_to_nobody_and_not_on_record(world: World, customer: Phone) -> None:
    setting, pin = proto.Message(), proto.Message()
    setting.protocolMessage.type = proto.Message.ProtocolMessage.Type.EPHEMERAL_SETTING
    setting.protocolMessage.ephemeralExpiration = 86_400
    pin.pinInChatMessage.key.id = customer.send(world.shop.number, "antes")
    pin.pinInChatMessage.type = 1
    sent = [customer.send_message(world.shop.number, notice) for notice in (setting, pin)]
    world.message(customer.send(world.shop.number, "depois"))
    for message_id in sent:
        customer.wait_receipt(message_id)
        assert message_id not in str([each.payload for each in world.receiver.deliveries()])
        assert message_id not in str(world.manager.events("empresa_x"))


def test_a_message_that_is_kept_from_linked_devices_is_told_as_such(world: World, customer: Phone) -> None:
    world.shop.fault(Unavailable(sender=customer.number))
    (told,) = world.told("message.undecryptable", lid(customer))
    assert told["unavailable"] is True


def test_a_message_that_nests_too_deep_to_be_read_is_told_and_harms_nothing_after_it(
    world: World, customer: Phone
) -> None:
    deep = proto.Message(conversation="fundo")
    for _ in range(50):
        deep = wrapped("groupMentionedMessage", deep)
    message_id = customer.send_message(world.shop.number, deep)
    (told,) = world.told("message.undecryptable", lid(customer))
    assert (told["whatsapp"]["messageId"], told["whatsapp"]["pushName"]) == (message_id, "Maria")
    assert world.message(customer.send(world.shop.number, "raso"))["text"] == "raso"


@pytest.mark.parametrize(
    "text", ["\u202eolá\u202c \u05e9\u05dc\u05d5\u05dd", "👩‍👩‍👧\ufeff\U0010ffff", "a\0b", "x" * 65_536]
)
def test_any_text_comes_through_unchanged(world: World, customer: Phone, text: str) -> None:
    message_id = customer.send(world.shop.number, text)
    message = world.message(message_id)
    assert message["text"] == text
    assert message["raw"]["conversation"] == text
    stored = world.manager.events("empresa_x", "message.received")[-1]["data"]
    assert (stored["messageId"], stored["text"]) == (message_id, text)


def test_every_other_kind_of_message_is_told_with_the_fields_that_belong_to_it(world: World, customer: Phone) -> None:
    shop = world.shop.number

    def told(message_id: str) -> Any:
        message = world.message(message_id)
        customer.wait_receipt(message_id)
        assert message.pop("raw")
        return message

    assert told(customer.send_location(shop, -23.5, -46.5, name="Loja", address="Rua 1")) == {
        "type": "location",
        "text": "",
        "latitude": -23.5,
        "longitude": -46.5,
        "name": "Loja",
        "address": "Rua 1",
    }
    live = told(customer.send_live_location(shop, 1.5, 2.5, caption="chegando"))
    assert (live["type"], live["text"], live["live"], live["latitude"]) == ("location", "chegando", True, 1.5)
    vcard = "BEGIN:VCARD\nVERSION:3.0\nFN:Ana\nTEL;type=CELL;waid=5511999990001:+55 11 99999-0001\nEND:VCARD"
    people = told(customer.send_contacts(shop, Contact(name="Ana", vcard=vcard), Contact(name="Rui", vcard="")))
    assert people["contacts"] == [{"name": "Ana", "numbers": ["5511999990001"], "vcard": vcard}, {"name": "Rui"}]
    poll = told(customer.send_poll(shop, "Quando?", ["já", "depois"], selectable=0))
    assert poll == {"type": "poll", "text": "Quando?", "options": ["já", "depois"], "selectable": 0}


def test_answers_to_buttons_and_lists_are_told_and_so_is_what_nobody_knows(world: World, customer: Phone) -> None:
    button, row, offer, unknown, buttons, template, newer, form = (proto.Message() for _ in range(8))
    button.buttonsResponseMessage.selectedDisplayText = "Sim"
    button.buttonsResponseMessage.selectedButtonId = "yes"
    row.listResponseMessage.title = "Pizza"
    row.listResponseMessage.singleSelectReply.selectedRowId = "p1"
    offer.listMessage.description = "O que deseja?"
    offer.listMessage.sections.add().rows.add(rowId="p1", title="Pizza")
    unknown.sendPaymentMessage.SetInParent()
    buttons.buttonsMessage.contentText = "Confirma?"
    buttons.buttonsMessage.buttons.add(buttonId="yes").buttonText.displayText = "Sim"
    template.templateMessage.hydratedTemplate.hydratedContentText = "Chegou?"
    template.templateMessage.hydratedTemplate.hydratedButtons.add(index=0).quickReplyButton.displayText = "Chegou"
    newer.interactiveMessage.body.text = "Pague"
    newer.interactiveMessage.nativeFlowMessage.buttons.add(name="pay", buttonParamsJson="{}")
    form.interactiveResponseMessage.body.text = "Feito"
    form.interactiveResponseMessage.nativeFlowResponseMessage.name = "form"
    form.interactiveResponseMessage.nativeFlowResponseMessage.paramsJson = "{}"
    said = []
    for message in (button, row, offer, unknown, buttons, template, newer, form):
        said.append(world.message(customer.send_message(world.shop.number, message)))
        assert said[-1].pop("raw")
    assert said == [
        {"type": "button_reply", "text": "Sim", "id": "yes"},
        {"type": "list_reply", "text": "Pizza", "id": "p1"},
        {"type": "list", "text": "O que deseja?", "choices": [{"id": "p1", "title": "Pizza"}]},
        {"type": "unknown", "text": "", "field": "sendPaymentMessage"},
        {"type": "buttons", "text": "Confirma?", "choices": [{"id": "yes", "title": "Sim"}]},
        {"type": "template", "text": "Chegou?", "choices": [{"id": "", "title": "Chegou"}]},
        {"type": "interactive", "text": "Pague", "choices": [{"id": "pay", "title": "{}"}]},
        {"type": "button_reply", "text": "Feito", "id": "form", "parameters": "{}"},
    ]


def test_what_shops_and_groups_send_is_told_with_the_fields_that_belong_to_it(world: World, customer: Phone) -> None:
    invitation, party, order, product, album = (proto.Message() for _ in range(5))
    invite = invitation.groupInviteMessage
    invite.groupJid, invite.groupName, invite.inviteCode = "120363000000000001@g.us", "Pedidos", "AbCd"
    invite.caption, invite.inviteExpiration = "Entre", 1_900_000_000
    party.eventMessage.name, party.eventMessage.description = "Festa", "Na loja"
    party.eventMessage.startTime = 1_900_000_000
    order.orderMessage.orderId, order.orderMessage.orderTitle = "42", "Pedido"
    order.orderMessage.message, order.orderMessage.itemCount = "Dois, por favor", 2
    product.productMessage.body = "Tem?"
    product.productMessage.product.productId, product.productMessage.product.title = "7", "Bolo"
    album.albumMessage.expectedImageCount, album.albumMessage.expectedVideoCount = 3, 1
    said = []
    for message in (invitation, party, order, product, album):
        message_id = customer.send_message(world.shop.number, message)
        said.append(world.message(message_id))
        customer.wait_receipt(message_id)
        assert said[-1].pop("raw")
    assert said == [
        {
            "type": "group_invite",
            "text": "Entre",
            "group": "120363000000000001@g.us",
            "name": "Pedidos",
            "code": "AbCd",
            "expiresAt": 1_900_000_000,
        },
        {"type": "event", "text": "Festa", "description": "Na loja", "startsAt": 1_900_000_000},
        {"type": "order", "text": "Dois, por favor", "id": "42", "title": "Pedido", "items": 2},
        {"type": "product", "text": "Tem?", "id": "7", "title": "Bolo"},
        {"type": "album", "text": "", "images": 3, "videos": 1},
    ]


def test_what_is_said_about_a_message_names_it(world: World, customer: Phone) -> None:
    shop = world.shop
    ours = world.manager.send("empresa_x", customer.number, "Pix ou boleto?").json()["messageId"]
    reaction = world.message(customer.react(shop.number, ours, "👍"))
    assert (reaction["type"], reaction["text"]) == ("reaction", "👍")
    assert (reaction["message"]["messageId"], reaction["message"]["isOwn"]) == (ours, True)
    context = Context(quote=customer.receive(text="Pix ou boleto?"), mentions=[shop.jid], forwarded=1, expires_s=86_400)
    answer = world.message(customer.send(shop.number, "Pix", context=context))
    assert (answer["quoted"]["messageId"], answer["quoted"]["isOwn"]) == (ours, True)
    assert answer["quoted"]["text"] == "Pix ou boleto?"
    assert (answer["mentions"], answer["forwarded"], answer["disappearsAfter"]) == ([shop.jid], True, 86_400)
    once = world.message(customer.send_media(shop.number, "image", b"x", view_once=True))
    assert (once["type"], once["viewOnce"]) == ("image", True)


def test_edits_and_revocations_are_told_as_what_they_are(world: World, customer: Phone) -> None:
    message_id = customer.send(world.shop.number, "Quero dois")
    customer.edit(world.shop.number, message_id, "Quero três")
    (edited,) = world.told("message.edited", lid(customer))
    assert edited["whatsapp"]["messageId"] == message_id
    assert (edited["message"]["type"], edited["message"]["text"]) == ("text", "Quero três")
    customer.revoke(world.shop.number, message_id)
    (revoked,) = world.told("message.revoked", lid(customer))
    assert revoked["whatsapp"] == edited["whatsapp"]
    assert len(world.told("message.received", lid(customer))) == 1
    fates = world.manager.call("GET", "/instances/empresa_x/state").json()["messages"]
    assert [each["fate"] for each in fates if each["messageId"] == message_id] == ["revoked"]


def test_in_a_group_only_writers_and_admins_take_back_and_only_writers_edit(world: World, new_phone: NewPhone) -> None:
    maria, joana, ana = new_phone("Maria"), new_phone("Joana"), new_phone("Ana")
    group = maria.create_group("Vizinhas", world.shop.number, joana.number, ana.number).jid
    first, second = (joana.say_in_group(group, text) for text in ("um", "dois"))
    world.told("message.received", group, count=2)
    ours = world.manager.send("empresa_x", group, "três").json()["messageId"]
    for message_id in (first, second, ours):
        ana.edit(group, message_id, "Pix para mim")
        ana.revoke(group, message_id)
    joana.revoke(group, first)
    for message_id, author in ((second, lid(joana)), (ours, lid(world.shop))):
        maria.revoke(group, message_id, author=author)
    told = world.told("message.revoked", group, count=3)
    assert [(each["whatsapp"]["messageId"], each["whatsapp"]["participant"], each["byAdmin"]) for each in told] == [
        (first, lid(joana), False),
        (second, lid(maria), True),
        (ours, lid(maria), True),
    ]
    edited = world.manager.events("empresa_x", "message.edited")
    assert lid(ana) not in [each["data"]["participant"] for each in edited]
    metrics = world.manager.call("GET", "/metrics").text
    for kind in ("SocketSawEdit", "SocketSawRevocation"):
        assert f'chatbot_erp_disregarded_total{{kind="{kind}"}} ' in metrics
    for message_id in (first, second, ours):
        answer = world.manager.call("GET", f"/instances/empresa_x/messages/{message_id}").json()
        assert answer["fate"] == "revoked"


def test_in_a_group_everything_is_the_groups_and_names_its_participant(world: World, new_phone: NewPhone) -> None:
    maria, joana = new_phone("Maria"), new_phone("Joana")
    founded = {"subject": "Pedidos", "participants": [maria.number, joana.number]}
    group = world.manager.call("POST", "/instances/empresa_x/groups", json=founded).json()["jid"]

    image = maria.send_media(group, "image", b"x" * 100, caption="este")
    (told,) = world.told("message.received", group)
    assert (told["whatsapp"]["messageId"], told["whatsapp"]["participant"]) == (image, lid(maria))
    assert told["message"]["text"] == "este"
    assert world.media(image).content == b"x" * 100

    reaction = world.message(joana.react(group, image, "👍", author=lid(maria)))
    assert reaction["message"] == {"messageId": image, "chat": group, "sender": lid(maria)}

    poll = maria.send_poll(group, "Quando?", ["já", "depois", "nunca"], selectable=0)
    world.message(poll)
    vote = world.message(joana.vote(joana.receive(kind="poll"), "já", "depois"))
    assert (vote["type"], vote["message"]["messageId"]) == ("poll_vote", poll)
    assert (vote["chosen"], len(vote["options"])) == (["já", "depois"], 2)
    taken_back = world.message(joana.vote(joana.receive(kind="poll")))
    assert "chosen" not in taken_back
    assert "sealed" not in taken_back

    text = maria.send(group, "dois")
    maria.edit(group, text, "três")
    (edited,) = world.told("message.edited", group)
    assert (edited["whatsapp"]["messageId"], edited["whatsapp"]["participant"]) == (text, lid(maria))
    assert edited["message"]["text"] == "três"


@pytest.mark.parametrize("video", [False, True])
def test_calls_are_told(world: World, customer: Phone, video: bool) -> None:
    call = customer.call(world.shop.number, video=video)
    (told,) = world.receiver.wait_for(lambda payload: payload.get("call", {}).get("id") == call)
    assert told.event == "call.received"
    caller = {"jid": lid(customer), "jidAlt": customer.jid}
    assert told.payload["call"] == {"id": call, "group": None, "video": video, **caller}
