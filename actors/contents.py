"""What a message can say: one type for each kind, from the caller's request to the socket, and into the log.

The log, the frames and the webhooks carry a content in three parts (`Parts`): its kind, its text (what it says in
words, or its caption), and a JSON object of all else that belongs to the kind. So every kind reads alike, and a new one
changes no event.
"""

from typing import Annotated, Any

import msgspec
from msgspec import Meta


class Part(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A piece of a content; JSON in camelCase, because the log and the webhooks show it as it is."""


class Reference(Part, frozen=True, kw_only=True):
    """Another message. `chat` is where it stands, `sender` who wrote it; jids. `is_own`: this number wrote it."""

    message_id: str
    chat: str
    sender: str
    is_own: bool = False


class Quote(Reference, frozen=True, kw_only=True):
    """A message that is answered; `kind` and `text` are what is shown of it above the answer."""

    kind: str = "text"
    text: str = ""


class Content(Part, frozen=True, kw_only=True, tag_field="type"):
    """The root of all kinds; `text` is empty where a kind says nothing in words."""

    text: str = ""


class Saying(Content, frozen=True, kw_only=True):
    """What is said anew in a chat, unlike what only changes or marks another message.

    `mentions` are jids that are told of it; the text names each as `@` and the part of its jid before the `@`.
    `disappears_after` is in seconds; 0 is never.
    """

    quoting: Quote | None = msgspec.field(default=None, name="quoted")
    mentions: tuple[str, ...] = ()
    forwarded: bool = False
    disappears_after: int = 0


class Text(Saying, frozen=True, kw_only=True, tag="text"):
    """Words."""


class Media(Saying, frozen=True, kw_only=True):
    """A file; `text` is its caption. `size` in bytes, `sha256` of its bytes in hex."""

    mime_type: str = ""
    file_name: str = ""
    size: int = 0
    sha256: str = ""


class Image(Media, frozen=True, kw_only=True, tag="image"):
    """A picture, its size in pixels. `view_once`: it can be looked at a single time."""

    view_once: bool = False
    width: int = 0
    height: int = 0


class Video(Media, frozen=True, kw_only=True, tag="video"):
    """A film; `animation` plays it silently and again and again, as a GIF. `note`: a round one, made in the chat."""

    view_once: bool = False
    seconds: int = 0
    animation: bool = False
    note: bool = False
    width: int = 0
    height: int = 0


class Audio(Media, frozen=True, kw_only=True, tag="audio"):
    """A sound file. It has no caption."""

    seconds: int = 0


class Voice(Media, frozen=True, kw_only=True, tag="voice"):
    """Something spoken: Ogg with Opus, or phones cannot play it. It has no caption."""

    view_once: bool = False
    seconds: int = 0


class Document(Media, frozen=True, kw_only=True, tag="document"):
    """Any file, by its name."""

    pages: int = 0


class Sticker(Media, frozen=True, kw_only=True, tag="sticker"):
    """A WebP picture of 512 × 512. It has no caption."""

    animated: bool = False
    width: int = 0
    height: int = 0


class Location(Saying, frozen=True, kw_only=True, tag="location"):
    """A place, in degrees. `text` is a comment. `live`: it moves, and more of them follow; `accuracy` in metres."""

    latitude: Annotated[float, Meta(ge=-90, le=90)]
    longitude: Annotated[float, Meta(ge=-180, le=180)]
    name: str = ""
    address: str = ""
    live: bool = False
    accuracy: int = 0


class Card(Part, frozen=True, kw_only=True):
    """A person's entry in an address book: a vCard, or a name and the numbers (E.164 digits) to make one of."""

    name: str
    numbers: tuple[str, ...] = ()
    vcard: str = ""


class Contact(Saying, frozen=True, kw_only=True, tag="contact"):
    """One or more entries of an address book."""

    contacts: tuple[Card, ...]


class Poll(Saying, frozen=True, kw_only=True, tag="poll"):
    """A question with answers to choose from; `selectable` is how many may be chosen, 0 any number."""

    options: tuple[str, ...]
    selectable: int = 1


class Reaction(Content, frozen=True, kw_only=True, tag="reaction"):
    """An emoji (`text`) on a message; an empty one takes it back."""

    message: Reference


class Edit(Content, frozen=True, kw_only=True, tag="edit"):
    """Other words for a message of one's own."""

    message: Reference


class Revoke(Content, frozen=True, kw_only=True, tag="revoke"):
    """A message is taken back for everybody."""

    message: Reference


Sendable = (
    Text | Image | Video | Audio | Voice | Document | Sticker | Location | Contact | Poll | Reaction | Edit | Revoke
)
"""What an instance can send."""


class Parts(msgspec.Struct, frozen=True, kw_only=True):
    """A content as events and frames carry it; `content` is the JSON of what is neither kind nor text."""

    kind: str
    text: str
    content: msgspec.Raw


def split(content: Content) -> Parts:
    """A content in its three parts. Raises `UnicodeEncodeError` where a field has half a character (a surrogate)."""
    fields: dict[str, Any] = msgspec.to_builtins(content)
    kind, text = fields.pop("type"), fields.pop("text", "")
    return Parts(kind=kind, text=text, content=msgspec.Raw(msgspec.json.encode(fields)))


def join(kind: str, text: str, content: msgspec.Raw | str) -> Sendable:
    """The content again. Raises `msgspec.ValidationError` for what is none that can be sent."""
    fields: dict[str, Any] = msgspec.json.decode(content)
    whole: Sendable = msgspec.convert({**fields, "type": kind, "text": text}, Sendable)
    return whole
