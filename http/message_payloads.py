"""The messages a caller can have sent: one type of JSON for each, and what the manager makes of them."""

from typing import Annotated, Any, assert_never

import msgspec
from msgspec import Meta

from chatbot_erp.actors import contents as c
from chatbot_erp.actors.outbox import Parcel
from chatbot_erp.actors.sending import LONGEST_TEXT, Draft
from chatbot_erp.http.payloads import Number, Payload, faults, why_not_json
from chatbot_erp.http.problems import INVALID, MALFORMED_JSON, FieldError, RequestRefused

To = Annotated[
    Number,
    Meta(description="A number (country and area code first, an optional '+' and separators) or the JID of a chat."),
]
ToOrNone = Annotated[
    str,
    Meta(description="As in other messages. It may be left out where the message that is meant is in the log."),
]
Words = Annotated[
    str,
    Meta(examples=["Olá!"], extra_json_schema={"minLength": 1, "maxLength": LONGEST_TEXT}, description="The words."),
]
Caption = Annotated[str, Meta(extra_json_schema={"maxLength": LONGEST_TEXT}, description="What stands under it.")]
Seconds = Annotated[int, Meta(ge=0, le=86_400, description="How long it plays.")]
Pixels = Annotated[int, Meta(ge=0, le=65_535)]


class Named(Payload, frozen=True, kw_only=True):
    """A message that is meant. What the log knows of it need not be said: only `messageId`."""

    message_id: Annotated[str, Meta(min_length=1, max_length=128)]
    chat: Annotated[str, Meta(description="The chat in which it stands.")] = ""
    sender: Annotated[str, Meta(description="Who wrote it.")] = ""
    is_own: Annotated[bool, Meta(description="This number wrote it.")] = False


class Quoted(Named, frozen=True, kw_only=True):
    """A message that is answered. `text` is shown of it; the log's own, if it is left out."""

    text: Annotated[str, Meta(extra_json_schema={"maxLength": LONGEST_TEXT})] = ""


class SendRequest(Payload, frozen=True, kw_only=True, tag_field="type"):
    """A message to be sent."""


class Saying(SendRequest, frozen=True, kw_only=True):
    """What is said anew. With `quoted` it is a reply."""

    to: To
    quoted: Quoted | None = None
    mentions: Annotated[
        tuple[str, ...],
        Meta(description="Numbers or JIDs that are told of it; the text names each as @ and its digits."),
    ] = ()
    forwarded: bool = False
    disappears_after: Annotated[
        int, Meta(ge=0, le=7_776_000, description="Seconds; phones know 86400, 604800 and 7776000. 0: never.")
    ] = 0


class SendText(Saying, frozen=True, kw_only=True, tag="text"):
    """Words."""

    text: Words


class WithFile(Saying, frozen=True, kw_only=True):
    """A message with a file: in `data`, at `url`, or as the part `file` of a multipart/form-data body."""

    data: Annotated[
        str | None, Meta(description="The file in base64.", extra_json_schema={"contentEncoding": "base64"})
    ] = None
    url: Annotated[
        str | None,
        Meta(
            description="Where the manager fetches it, without following redirects.",
            extra_json_schema={"format": "uri"},
        ),
    ] = None
    mime_type: Annotated[str, Meta(description="What the file is, where its source does not say so.")] = ""
    file_name: str = ""


class SendImage(WithFile, frozen=True, kw_only=True, tag="image"):
    """A JPEG, PNG or WebP."""

    text: Caption = ""
    view_once: bool = False


class SendVideo(WithFile, frozen=True, kw_only=True, tag="video"):
    """An MP4. `animation` plays it silently and again and again; `note` is a round one, without a caption."""

    text: Caption = ""
    view_once: bool = False
    animation: bool = False
    note: bool = False
    seconds: Seconds = 0
    width: Pixels = 0
    height: Pixels = 0


class SendAudio(WithFile, frozen=True, kw_only=True, tag="audio"):
    """A sound file."""

    seconds: Seconds = 0


class SendVoice(WithFile, frozen=True, kw_only=True, tag="voice"):
    """Something spoken: Ogg with Opus, and nothing else. `seconds` is read from the file."""

    view_once: bool = False
    seconds: Seconds = 0


class SendDocument(WithFile, frozen=True, kw_only=True, tag="document"):
    """Any file."""

    text: Caption = ""
    pages: Annotated[int, Meta(ge=0, le=1_000_000)] = 0


class SendSticker(WithFile, frozen=True, kw_only=True, tag="sticker"):
    """A WebP, best of 512 × 512 pixels."""


class SendLocation(Saying, frozen=True, kw_only=True, tag="location"):
    """A place, in degrees."""

    latitude: Annotated[float, Meta(ge=-90, le=90)]
    longitude: Annotated[float, Meta(ge=-180, le=180)]
    name: str = ""
    address: str = ""
    text: Annotated[str, Meta(description="A comment.")] = ""


class CardRequest(Payload, frozen=True, kw_only=True):
    """A person: a name, and numbers or a whole vCard."""

    name: str
    numbers: tuple[Number, ...] = ()
    vcard: str = ""


class SendContact(Saying, frozen=True, kw_only=True, tag="contact"):
    """Entries of an address book."""

    contacts: Annotated[tuple[CardRequest, ...], Meta(extra_json_schema={"minItems": 1})]


class SendPoll(Saying, frozen=True, kw_only=True, tag="poll"):
    """A question; `selectable` answers may be chosen, 0: any number."""

    text: Annotated[str, Meta(description="The question.")]
    options: Annotated[tuple[str, ...], Meta(extra_json_schema={"minItems": 2, "maxItems": 12})]
    selectable: Annotated[int, Meta(ge=0, le=12)] = 1


class SendReaction(SendRequest, frozen=True, kw_only=True, tag="reaction"):
    """An emoji on a message; an empty `text` takes it back."""

    to: ToOrNone = ""
    text: Annotated[str, Meta(examples=["👍"])]
    message: Named


class SendEdit(SendRequest, frozen=True, kw_only=True, tag="edit"):
    """Other words for a text of one's own. Phones take it for some 15 minutes."""

    to: ToOrNone = ""
    text: Words
    message: Named


class SendRevoke(SendRequest, frozen=True, kw_only=True, tag="revoke"):
    """A message of one's own is taken back for everybody. Phones take it for some two days."""

    to: ToOrNone = ""
    message: Named


AnyRequest = (
    SendText
    | SendImage
    | SendVideo
    | SendAudio
    | SendVoice
    | SendDocument
    | SendSticker
    | SendLocation
    | SendContact
    | SendPoll
    | SendReaction
    | SendEdit
    | SendRevoke
)
"""The body of the call, by its `type`."""

BY_TYPE: dict[str, type[SendRequest]] = {str(kind.__struct_config__.tag): kind for kind in AnyRequest.__args__}


def parse(body: bytes) -> AnyRequest:
    """The body by its `type`. Raises `RequestRefused`, with `errors` that name each wrong field."""
    try:
        asked: AnyRequest = msgspec.json.decode(body, type=AnyRequest)
    except msgspec.ValidationError as ex:
        raise RequestRefused(INVALID, "The body is not what this call takes.", _faults(body)) from ex
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as ex:
        raise RequestRefused(MALFORMED_JSON, why_not_json(body, ex)) from ex
    return asked


def _faults(body: bytes) -> list[FieldError]:
    given: Any = msgspec.json.decode(body)
    kind = given.get("type") if isinstance(given, dict) else None
    if not isinstance(kind, str) or kind not in BY_TYPE:
        return [FieldError(field="type", location="body", detail=f"It is one of {', '.join(BY_TYPE)}.")]
    return faults(body, BY_TYPE[kind])


def source(asked: AnyRequest, parcel: Parcel | None) -> Parcel | str | None:
    """Where the file of a message is. Raises `RequestRefused` where two are given."""
    url = asked.url if isinstance(asked, WithFile) else None
    if url is not None and parcel is not None:
        one = [
            FieldError(field="url", location="body", detail="Give the file once: as 'data', 'url' or a part 'file'.")
        ]
        raise RequestRefused(INVALID, "The body names two files.", one)
    return parcel or url


def draft(asked: AnyRequest) -> Draft:
    """What the manager is asked to send."""
    return Draft(to=asked.to, content=content(asked))


def content(asked: AnyRequest) -> c.Sendable:
    """The content that is asked for; of messages that it names only what the caller has said."""
    match asked:
        case SendReaction(text=text, message=message):
            return c.Reaction(text=text, message=_named(message))
        case SendEdit(text=text, message=message):
            return c.Edit(text=text, message=_named(message))
        case SendRevoke(message=message):
            return c.Revoke(message=_named(message))
        case SendText(text=text):
            return c.Text(text=text, **_context(asked))
        case SendLocation():
            return c.Location(
                text=asked.text,
                latitude=asked.latitude,
                longitude=asked.longitude,
                name=asked.name,
                address=asked.address,
                **_context(asked),
            )
        case SendContact(contacts=contacts):
            cards = tuple(c.Card(name=each.name, numbers=each.numbers, vcard=each.vcard) for each in contacts)
            return c.Contact(contacts=cards, **_context(asked))
        case SendPoll():
            return c.Poll(text=asked.text, options=asked.options, selectable=asked.selectable, **_context(asked))
        case WithFile():
            return _media(asked)
        case _:
            assert_never(asked)


def _media(asked: SendImage | SendVideo | SendAudio | SendVoice | SendDocument | SendSticker) -> c.Sendable:
    said = {**_context(asked), "mime_type": asked.mime_type, "file_name": asked.file_name}
    match asked:
        case SendImage():
            return c.Image(text=asked.text, view_once=asked.view_once, **said)
        case SendVideo():
            return c.Video(
                text=asked.text,
                view_once=asked.view_once,
                animation=asked.animation,
                note=asked.note,
                seconds=asked.seconds,
                width=asked.width,
                height=asked.height,
                **said,
            )
        case SendAudio():
            return c.Audio(seconds=asked.seconds, **said)
        case SendVoice():
            return c.Voice(view_once=asked.view_once, seconds=asked.seconds, **said)
        case SendDocument():
            return c.Document(text=asked.text, pages=asked.pages, **said)
        case SendSticker():
            return c.Sticker(**said)
        case _:
            assert_never(asked)


def _named(message: Named) -> c.Reference:
    return c.Reference(message_id=message.message_id, chat=message.chat, sender=message.sender, is_own=message.is_own)


def _context(asked: Saying) -> dict[str, Any]:
    quoted = asked.quoted
    return {
        "quoting": quoted and c.Quote(**msgspec.structs.asdict(quoted)),
        "mentions": asked.mentions,
        "forwarded": asked.forwarded,
        "disappears_after": asked.disappears_after,
    }
