"""What a caller wants sent, made whole: messages that are named by their id are looked up, and limits are kept. Pure."""

import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

import msgspec

from chatbot_erp.actors import contents as c
from chatbot_erp.actors.errors import BadContent, BadMessage, MessageNotFound, Refused
from chatbot_erp.actors.lookup import Find
from chatbot_erp.actors.phone_numbers import digits, normalise, person
from chatbot_erp.actors.state import Account
from chatbot_erp.eventstore.events import MessageReceived, MessageSent

LONGEST_TEXT = 65_536
LONGEST_NAME = 255
LONGEST_ADDRESS = 1024
LONGEST_OPTION = 100
LONGEST_REACTION = 32
MOST_OPTIONS = 12
MOST_MENTIONS = 1024
MOST_CARDS = 100
MOST_NUMBERS = 100

AboutMessage = c.Reaction | c.Edit | c.Revoke
Named = TypeVar("Named", bound=c.Reference)
_BREAK = re.compile(r"[\r\n]")


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """A message as its caller has it: of the messages it names only the id need be there, all else may be empty.

    `to` is as `normalise` takes it; it may be empty for what is about a message that the log knows.
    """

    to: str
    content: c.Sendable


def complete(draft: Draft, find: Find, me: Account, region: str | None = None) -> Draft:
    """The draft as this account can send it; numbers are read as in `normalise`.

    Raises `BadNumber`, `BadContent`, `BadMessage`, `MessageNotFound`; their `field` is the JSON name of what is wrong.
    """
    content = draft.content
    check_content(content)
    if isinstance(content, AboutMessage):
        with _blaming("message"):
            about, kind = _looked_up(content.message, find, me, region, own=not isinstance(content, c.Reaction))
            if isinstance(content, c.Edit) and kind not in ("", "text"):
                raise BadContent(f"Of a message of the type {kind} nothing can be changed: only a text can.")
        with _blaming("to"):
            return Draft(to=_chat(draft.to, about, region), content=msgspec.structs.replace(content, message=about))
    with _blaming("to"):
        to = normalise(draft.to, region)
    with _blaming("mentions"):
        mentions = tuple(_jid(person(number, region)) for number in content.mentions)
    quote = content.quoting
    if quote is not None:
        with _blaming("quoted"):
            found, kind = _looked_up(quote, find, me, region)
        quote = msgspec.structs.replace(found, kind=kind or quote.kind)
    whole = msgspec.structs.replace(content, mentions=mentions, quoting=quote)
    if isinstance(whole, c.Contact):
        with _blaming("contacts"):
            whole = msgspec.structs.replace(whole, contacts=tuple(_card(card, region) for card in whole.contacts))
    return Draft(to=to, content=whole)


@contextmanager
def _blaming(field: str) -> Iterator[None]:
    """Have what is refused in here name the field."""
    try:
        yield
    except Refused as ex:
        ex.field = field
        raise


def _looked_up(wanted: Named, find: Find, me: Account, region: str | None, *, own: bool = False) -> tuple[Named, str]:
    """The message that is meant, and its kind where the log knows it. What the caller says of it goes first."""
    found = find(wanted.message_id)
    is_own, chat, sender, text, kind = wanted.is_own or own, "", "", "", ""
    match found:
        case MessageSent():
            is_own, chat, text, kind = True, found.jid, found.text, found.kind
        case MessageReceived():
            if own:
                raise BadContent("The message is somebody else's: only own ones can be changed or taken back.")
            is_own, chat, sender, text, kind = False, found.jid, found.participant or found.jid, found.text, found.kind
    chat = wanted.chat or chat
    if is_own:
        # Where a chat goes by numbers, so do its messages.
        sender = me.jid if chat.endswith("@s.whatsapp.net") else me.lid or me.jid
    sender = wanted.sender or sender or ("" if chat.endswith("@g.us") else chat)
    known = msgspec.structs.replace(wanted, chat=chat, sender=sender, is_own=is_own)
    if not known.chat or not known.sender:
        raise MessageNotFound(f"No message {wanted.message_id} is in the log; give 'chat' and 'sender' to name it.")
    known = msgspec.structs.replace(
        known, chat=_jid(normalise(known.chat, region)), sender=_jid(person(known.sender, region))
    )
    if isinstance(known, c.Quote) and not known.text:
        known = msgspec.structs.replace(known, text=text)
    return known, kind


def _chat(to: str, about: c.Reference, region: str | None) -> str:
    """Where a message about a message goes: to where that stands, by whichever of its names the caller uses."""
    wanted = normalise(to, region) if to else about.chat
    groups = {jid for jid in (wanted, about.chat) if jid.endswith("@g.us")}
    if groups and wanted != about.chat:
        raise BadContent("The message stands in another chat than 'to'.")
    return wanted


def _jid(number: str) -> str:
    return number if "@" in number else f"{number}@s.whatsapp.net"


def _card(card: c.Card, region: str | None) -> c.Card:
    return msgspec.structs.replace(card, numbers=tuple(digits(number, region) for number in card.numbers))


def check_text(text: str) -> None:
    """Raise `BadMessage` unless WhatsApp could carry this text unchanged."""
    if not text.strip():
        raise BadMessage("The message is empty.")
    if len(text) > LONGEST_TEXT:
        raise BadMessage(f"The message has {len(text)} characters; {LONGEST_TEXT} are allowed.")
    try:
        text.encode()
    except UnicodeEncodeError as ex:
        raise BadMessage("The message is not valid Unicode (a lone surrogate).") from ex


def check_content(content: c.Sendable) -> None:
    """Raise `BadContent`, or `BadMessage` for its words, unless phones can show it."""
    try:
        msgspec.json.encode(content)
    except UnicodeEncodeError as ex:
        raise BadContent("A text in it is not valid Unicode (a lone surrogate).") from ex
    with _blaming("text"):
        if isinstance(content, c.Text | c.Edit):
            check_text(content.text)
        elif len(content.text) > LONGEST_TEXT:
            raise BadMessage(f"The text has {len(content.text)} characters; {LONGEST_TEXT} are allowed.")
    if isinstance(content, c.Saying):
        quoted = content.quoting.text if content.quoting is not None else ""
        _require("quoted", len(quoted) <= LONGEST_TEXT, f"A quoted 'text' has at most {LONGEST_TEXT} characters.")
        _require("mentions", len(content.mentions) <= MOST_MENTIONS, f"'mentions' are {MOST_MENTIONS} at most.")
    match content:
        case c.Media(file_name=name, mime_type=mime_type):
            _require("fileName", len(name) <= LONGEST_NAME, f"A 'fileName' has at most {LONGEST_NAME} characters.")
            _require("mimeType", len(mime_type) <= LONGEST_NAME, f"A 'mimeType' has at most {LONGEST_NAME} characters.")
        case c.Location(latitude=latitude, longitude=longitude, name=name, address=address):
            _require("name", len(name) <= LONGEST_NAME, f"A 'name' has at most {LONGEST_NAME} characters.")
            _require(
                "address", len(address) <= LONGEST_ADDRESS, f"An 'address' has at most {LONGEST_ADDRESS} characters."
            )
            for field, degrees, most in (("latitude", latitude, 90), ("longitude", longitude, 180)):
                _require(field, math.isfinite(degrees) and abs(degrees) <= most, "It is no place on Earth.")
        case c.Contact(contacts=cards):
            _require("contacts", 0 < len(cards) <= MOST_CARDS, f"'contacts' are 1 to {MOST_CARDS}.")
            for card in cards:
                is_named = 0 < len(card.name.strip()) <= LONGEST_NAME
                _require("contacts", is_named, f"A contact's name is 1 to {LONGEST_NAME} characters.")
                _require("contacts", bool(card.vcard or card.numbers), "A contact has 'numbers', or a 'vcard'.")
                is_card = card.vcard.lstrip()[:11].upper() == "BEGIN:VCARD"
                _require("contacts", not card.vcard or is_card, "A 'vcard' begins with BEGIN:VCARD.")
                is_short = len(card.vcard) <= LONGEST_TEXT and len(card.numbers) <= MOST_NUMBERS
                bounds = f"A contact has at most {MOST_NUMBERS} 'numbers', and a 'vcard' {LONGEST_TEXT} characters."
                _require("contacts", is_short, bounds)
        case c.Poll(text=question, options=options, selectable=selectable):
            is_asked = 0 < len(question.strip()) <= LONGEST_NAME
            _require("text", is_asked, f"A poll's 'text' is 1 to {LONGEST_NAME} characters.")
            _require("options", 2 <= len(options) <= MOST_OPTIONS, f"A poll has 2 to {MOST_OPTIONS} 'options'.")
            _require("options", all(option.strip() for option in options), "An option of the poll is empty.")
            are_short = all(len(option) <= LONGEST_OPTION for option in options)
            _require("options", are_short, f"An option of a poll has at most {LONGEST_OPTION} characters.")
            _require("options", len(set(options)) == len(options), "Two options of the poll are the same.")
            can_be = 0 <= selectable <= len(options)
            _require("selectable", can_be, "'selectable' is 0 (any number) to as many as there are options.")
        case c.Reaction(text=emoji):
            is_short = len(emoji) <= LONGEST_REACTION and not _BREAK.search(emoji)
            _require("text", is_short, "A reaction is one emoji.")
        case _:
            pass


def _require(field: str, holds: bool, otherwise: str) -> None:
    if not holds:
        with _blaming(field):
            raise BadContent(otherwise)
