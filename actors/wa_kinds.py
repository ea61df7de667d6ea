"""Each kind of WhatsApp message as a content; what any message can carry beside that is added in wa_content.py.

The functions take the protobufs by shape. Source of the field names: WAWebProtobufsE2E.proto, as whatsmeow has it.
"""

import math
import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import msgspec

from chatbot_erp.actors import contents as c
from chatbot_erp.actors import contents_received as r

Protobuf = Any
"""A message of neonize's generated code, which has no types worth the name."""

_NUMBER = re.compile(r"^(?:[^\s:;]+\.)?TEL(?P<parameters>[^\r\n:]*):(?P<number>[^\r\n]*)", re.IGNORECASE | re.MULTILINE)
_ACCOUNT = re.compile(r"waid=([0-9]+)", re.IGNORECASE)
"""WhatsApp's own addition to a vCard: the digits of the account."""


class View(msgspec.Struct, frozen=True, kw_only=True):
    """From where a message is seen: its chat, who wrote it, and who we are. All jids, without devices."""

    chat: str
    sender: str
    me: tuple[str, ...] = ()
    """The phone number's jid first, then the LID."""


def reference(key: Protobuf, view: View) -> c.Reference:
    """The message that a key names. `fromMe` there is said from the sender's side, not from ours."""
    if key.fromMe:
        sender = view.sender
    elif key.participant:
        sender = plain(key.participant)
    else:
        sender = view.me[0] if view.me else ""
    return c.Reference(message_id=words(key.ID), chat=view.chat, sender=sender, is_own=sender in view.me)


def plain(jid: str | bytes) -> str:
    """A jid without its device (`user:7@server`) and agent (`user.0@server`)."""
    user, at, server = words(jid).partition("@")
    return f"{user.partition(':')[0].partition('.')[0]}{at}{server}"


def words(value: str | bytes) -> str:
    """WhatsApp's strings are proto2: a peer can put bytes there that are no UTF-8, and protobuf hands them on."""
    return value if isinstance(value, str) else value.decode(errors="replace")


def _file(value: Protobuf) -> dict[str, Any]:
    return {"mime_type": words(value.mimetype), "size": value.fileLength, "sha256": value.fileSHA256.hex()}


def _area(value: Protobuf) -> dict[str, Any]:
    return {"width": value.width, "height": value.height}


def _image(value: Protobuf, _: View) -> c.Content:
    return c.Image(text=words(value.caption), view_once=value.viewOnce, **_file(value), **_area(value))


def _video(value: Protobuf, _: View) -> c.Video:
    return c.Video(
        text=words(value.caption),
        view_once=value.viewOnce,
        seconds=value.seconds,
        animation=value.gifPlayback,
        **_file(value),
        **_area(value),
    )


def _note(value: Protobuf, view: View) -> c.Content:
    return msgspec.structs.replace(_video(value, view), note=True)


def _audio(value: Protobuf, _: View) -> c.Content:
    if value.PTT:
        return c.Voice(view_once=value.viewOnce, seconds=value.seconds, **_file(value))
    return c.Audio(seconds=value.seconds, **_file(value))


def _document(value: Protobuf, _: View) -> c.Content:
    name = words(value.fileName) or words(value.title)
    return c.Document(text=words(value.caption), file_name=name, pages=value.pageCount, **_file(value))


def _sticker(value: Protobuf, _: View) -> c.Content:
    return c.Sticker(animated=value.isAnimated or value.isLottie, **_file(value), **_area(value))


def _location(value: Protobuf, _: View) -> c.Content:
    details = {"name": words(value.name), "address": words(value.address), "live": value.isLive}
    return _place(value, words(value.comment), details)


def _live_location(value: Protobuf, _: View) -> c.Content:
    return _place(value, words(value.caption), {"live": True})


def _place(value: Protobuf, text: str, details: dict[str, Any]) -> c.Content:
    latitude, longitude = value.degreesLatitude, value.degreesLongitude
    if not (math.isfinite(latitude) and math.isfinite(longitude)):
        return r.Unknown(field=value.DESCRIPTOR.name)
    return c.Location(text=text, latitude=latitude, longitude=longitude, accuracy=value.accuracyInMeters, **details)


def _contact(value: Protobuf, _: View) -> c.Content:
    return c.Contact(contacts=(_card(value),))


def _contacts(value: Protobuf, _: View) -> c.Content:
    return c.Contact(contacts=tuple(map(_card, value.contacts)))


def _card(value: Protobuf) -> c.Card:
    vcard = words(value.vcard)
    numbers = []
    for line in _NUMBER.finditer(vcard):
        account = _ACCOUNT.search(line["parameters"])
        numbers.append(account[1] if account else re.sub("[^0-9]", "", line["number"]))
    return c.Card(name=words(value.displayName), numbers=tuple(filter(None, numbers)), vcard=vcard)


def _poll(value: Protobuf, _: View) -> c.Content:
    options = tuple(words(option.optionName) for option in value.options)
    return c.Poll(text=words(value.name), options=options, selectable=value.selectableOptionsCount)


def _poll_vote(value: Protobuf, view: View) -> c.Content:
    return r.PollVote(message=reference(value.pollCreationMessageKey, view), sealed=True)


def _reaction(value: Protobuf, view: View) -> c.Content:
    return c.Reaction(text=words(value.text), message=reference(value.key, view))


def _button_reply(value: Protobuf, _: View) -> c.Content:
    return r.ButtonReply(text=words(value.selectedDisplayText), id=words(value.selectedButtonID))


def _template_reply(value: Protobuf, _: View) -> c.Content:
    return r.ButtonReply(text=words(value.selectedDisplayText), id=words(value.selectedID))


def _interactive_reply(value: Protobuf, _: View) -> c.Content:
    flow = value.nativeFlowResponseMessage
    return r.ButtonReply(text=words(value.body.text), id=words(flow.name), parameters=words(flow.paramsJSON))


def _list_reply(value: Protobuf, _: View) -> c.Content:
    row = words(value.singleSelectReply.selectedRowID)
    return r.ListReply(text=words(value.title), id=row, description=words(value.description))


def _buttons(value: Protobuf, _: View) -> c.Content:
    choices = tuple(_choice(button.buttonID, button.buttonText.displayText) for button in value.buttons)
    return r.Buttons(text=words(value.contentText or value.text), choices=choices)


def _list(value: Protobuf, _: View) -> c.Content:
    rows = (row for section in value.sections for row in section.rows)
    choices = tuple(_choice(row.rowID, row.title, row.description) for row in rows)
    return r.List(text=words(value.description or value.title), choices=choices)


def _template(value: Protobuf, _: View) -> c.Content:
    filled = value.hydratedTemplate if value.HasField("hydratedTemplate") else value.hydratedFourRowTemplate
    shown = (part for button in filled.hydratedButtons for field, part in button.ListFields() if field.name != "index")
    choices = tuple(_choice(getattr(button, "ID", ""), button.displayText) for button in shown)
    return r.Template(text=words(filled.hydratedContentText), choices=choices)


def _interactive(value: Protobuf, _: View) -> c.Content:
    choices = tuple(_choice(button.name, button.buttonParamsJSON) for button in value.nativeFlowMessage.buttons)
    return r.Interactive(text=words(value.body.text), choices=choices)


def _choice(id_: str | bytes, title: str | bytes, description: str | bytes = "") -> r.Choice:
    return r.Choice(id=words(id_), title=words(title), description=words(description))


def _group_invite(value: Protobuf, _: View) -> c.Content:
    return r.GroupInvite(
        text=words(value.caption),
        group=words(value.groupJID),
        name=words(value.groupName),
        code=words(value.inviteCode),
        expires_at=value.inviteExpiration,
    )


def _appointment(value: Protobuf, _: View) -> c.Content:
    description = words(value.description)
    return r.Appointment(text=words(value.name), description=description, starts_at=value.startTime)


def _order(value: Protobuf, _: View) -> c.Content:
    title = words(value.orderTitle)
    return r.Order(text=words(value.message), id=words(value.orderID), title=title, items=value.itemCount)


def _product(value: Protobuf, _: View) -> c.Content:
    product = value.product
    return r.Product(text=words(value.body), id=words(product.productID), title=words(product.title))


def _album(value: Protobuf, _: View) -> c.Content:
    return r.Album(images=value.expectedImageCount, videos=value.expectedVideoCount)


Maker = Callable[[Any, View], c.Content]

MAKERS: Mapping[str, Maker] = MappingProxyType(
    {
        "conversation": lambda value, _: c.Text(text=words(value)),
        "extendedTextMessage": lambda value, _: c.Text(text=words(value.text)),
        "imageMessage": _image,
        "videoMessage": _video,
        "ptvMessage": _note,
        "audioMessage": _audio,
        "documentMessage": _document,
        "stickerMessage": _sticker,
        "locationMessage": _location,
        "liveLocationMessage": _live_location,
        "contactMessage": _contact,
        "contactsArrayMessage": _contacts,
        "pollCreationMessage": _poll,
        "pollCreationMessageV2": _poll,
        "pollCreationMessageV3": _poll,
        "pollCreationMessageV5": _poll,
        "pollCreationMessageV6": _poll,
        "pollUpdateMessage": _poll_vote,
        "reactionMessage": _reaction,
        "buttonsResponseMessage": _button_reply,
        "templateButtonReplyMessage": _template_reply,
        "interactiveResponseMessage": _interactive_reply,
        "listResponseMessage": _list_reply,
        "buttonsMessage": _buttons,
        "listMessage": _list,
        "templateMessage": _template,
        "interactiveMessage": _interactive,
        "groupInviteMessage": _group_invite,
        "eventMessage": _appointment,
        "orderMessage": _order,
        "productMessage": _product,
        "albumMessage": _album,
    }
)
"""Content field → what makes a content of it."""
