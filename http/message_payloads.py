"""The messages a caller can have sent: one type of JSON for each."""

from typing import Annotated

from msgspec import Meta

from chatbot_erp.actors.sending import LONGEST_ADDRESS, LONGEST_NAME, LONGEST_OPTION, LONGEST_TEXT
from chatbot_erp.http.payloads import MessageId, Number, Payload

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
Name = Annotated[str, Meta(extra_json_schema={"maxLength": LONGEST_NAME})]
Once = Annotated[bool, Meta(description="Phones show it once.")]
Option = Annotated[str, Meta(extra_json_schema={"maxLength": LONGEST_OPTION})]
Seconds = Annotated[int, Meta(ge=0, le=86_400, description="How long it plays; 0: nobody says.")]
FileSeconds = Annotated[Seconds, Meta(description="How long it plays; 0: read from the file.")]
Pixels = Annotated[int, Meta(ge=0, le=65_535)]


class Named(Payload, frozen=True, kw_only=True):
    """A message that is meant. What the log knows of it need not be said: only `messageId`."""

    message_id: Annotated[MessageId, Meta(min_length=1, max_length=128)]
    chat: Annotated[str, Meta(description="The chat in which it stands.")] = ""
    sender: Annotated[str, Meta(description="Who wrote it.")] = ""
    is_own: Annotated[bool, Meta(description="This number wrote it.")] = False


class Quoted(Named, frozen=True, kw_only=True):
    """A message that is answered."""

    text: Annotated[
        str,
        Meta(
            description="What is shown of it; the log's own, if it is left out.",
            extra_json_schema={"maxLength": LONGEST_TEXT},
        ),
    ] = ""


class SendRequest(Payload, frozen=True, kw_only=True, tag_field="type"):
    """A message to be sent."""


class Saying(SendRequest, frozen=True, kw_only=True):
    """What is said anew."""

    to: To
    quoted: Annotated[Quoted | None, Meta(description="The message that it answers; null: none.")] = None
    mentions: Annotated[
        tuple[str, ...],
        Meta(description="Numbers or JIDs that are told of it; the text names each as @ and its digits."),
    ] = ()
    forwarded: Annotated[bool, Meta(description="Phones mark it as forwarded.")] = False
    disappears_after: Annotated[
        int, Meta(ge=0, le=7_776_000, description="Seconds; phones know 86400, 604800 and 7776000. 0: never.")
    ] = 0


class SendText(Saying, frozen=True, kw_only=True, tag="text"):
    """Words."""

    text: Words


class SendReply(Saying, frozen=True, kw_only=True, tag="reply"):
    """Words that answer a message: a text with `quoted`."""

    text: Words
    quoted: Annotated[Quoted, Meta(description="The message that it answers.")]


class WithFile(Saying, frozen=True, kw_only=True):
    """A message with a file: in `data`, at `url`, or as the part `file` of a multipart/form-data body."""

    data: Annotated[
        str | None, Meta(description="The file in base64.", extra_json_schema={"contentEncoding": "base64"})
    ] = None
    url: Annotated[
        str | None,
        Meta(
            description="Where the manager fetches it, without following redirects.",
            examples=["https://files.example/pedido-42"],
            extra_json_schema={"format": "uri"},
        ),
    ] = None
    mime_type: Annotated[
        Name,
        Meta(
            description="What the file is; empty: as its source says, else its name. Pictures and voice say it themselves."
        ),
    ] = ""
    file_name: Annotated[Name, Meta(description="What it is called; empty: as its source says.")] = ""


class SendImage(WithFile, frozen=True, kw_only=True, tag="image"):
    """A JPEG, PNG or WebP."""

    text: Caption = ""
    view_once: Once = False


class SendVideo(WithFile, frozen=True, kw_only=True, tag="video"):
    """An MP4."""

    text: Caption = ""
    view_once: Once = False
    animation: Annotated[bool, Meta(description="It plays silently and again and again.")] = False
    note: Annotated[bool, Meta(description="It is a round one.")] = False
    seconds: FileSeconds = 0
    width: Annotated[Pixels, Meta(description="In pixels; 0: read from the file.")] = 0
    height: Annotated[Pixels, Meta(description="In pixels; 0: read from the file.")] = 0


class SendAudio(WithFile, frozen=True, kw_only=True, tag="audio"):
    """A sound file."""

    seconds: Seconds = 0


class SendVoice(WithFile, frozen=True, kw_only=True, tag="voice"):
    """Something spoken: Ogg with Opus, and nothing else."""

    view_once: Once = False
    seconds: FileSeconds = 0


class SendDocument(WithFile, frozen=True, kw_only=True, tag="document"):
    """Any file."""

    text: Caption = ""
    pages: Annotated[int, Meta(ge=0, le=1_000_000, description="How many it has; 0: nobody says.")] = 0


class SendSticker(WithFile, frozen=True, kw_only=True, tag="sticker"):
    """A WebP, best of 512 × 512 pixels."""


class SendLocation(Saying, frozen=True, kw_only=True, tag="location"):
    """A place."""

    latitude: Annotated[float, Meta(ge=-90, le=90, description="In degrees, north is positive.", examples=[-3.1316])]
    longitude: Annotated[float, Meta(ge=-180, le=180, description="In degrees, east is positive.", examples=[-60.0233])]
    name: Annotated[Name, Meta(description="What the place is called.")] = ""
    address: Annotated[
        str, Meta(description="Where it is, in words.", extra_json_schema={"maxLength": LONGEST_ADDRESS})
    ] = ""
    text: Annotated[str, Meta(description="A comment.")] = ""


class CardRequest(Payload, frozen=True, kw_only=True):
    """A person: a name, and numbers or a whole vCard."""

    name: Annotated[Name, Meta(description="Theirs.", examples=["Maria"])]
    numbers: Annotated[tuple[Number, ...], Meta(description="Theirs, on WhatsApp.", examples=[["559199999999"]])] = ()
    vcard: Annotated[
        str, Meta(description="A whole one, in place of numbers.", extra_json_schema={"maxLength": LONGEST_TEXT})
    ] = ""


class SendContact(Saying, frozen=True, kw_only=True, tag="contact"):
    """Entries of an address book."""

    contacts: Annotated[tuple[CardRequest, ...], Meta(description="One or more.", extra_json_schema={"minItems": 1})]


class SendPoll(Saying, frozen=True, kw_only=True, tag="poll"):
    """A question."""

    text: Annotated[Name, Meta(description="The question.", examples=["Quando entregamos?"])]
    options: Annotated[
        tuple[Option, ...],
        Meta(
            description="The answers, each another one.",
            examples=[["Hoje", "Amanhã"]],
            extra_json_schema={"minItems": 2, "maxItems": 12},
        ),
    ]
    selectable: Annotated[int, Meta(ge=0, le=12, description="How many may be chosen; 0: any number.")] = 1


class SendReaction(SendRequest, frozen=True, kw_only=True, tag="reaction"):
    """An emoji on a message."""

    to: ToOrNone = ""
    text: Annotated[str, Meta(description="The emoji; empty takes it back.", examples=["👍"])]
    message: Annotated[Named, Meta(description="The message that it is put on.")]


class SendEdit(SendRequest, frozen=True, kw_only=True, tag="edit"):
    """Other words for a text of one's own. Phones take it for some 15 minutes."""

    to: ToOrNone = ""
    text: Words
    message: Annotated[Named, Meta(description="The message that is changed.")]


class SendRevoke(SendRequest, frozen=True, kw_only=True, tag="revoke"):
    """A message of one's own is taken back for everybody. Phones take it for some two days."""

    to: ToOrNone = ""
    message: Annotated[Named, Meta(description="The message that is taken back.")]


AnyRequest = (
    SendText
    | SendReply
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
