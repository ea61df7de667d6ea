"""From the JSON of a message to what the manager is asked to send."""

from typing import Any, assert_never

import msgspec

from chatbot_erp.actors import contents as c
from chatbot_erp.actors.outbox import Parcel
from chatbot_erp.actors.sending import Draft
from chatbot_erp.http.bodies import faults, why_not_json
from chatbot_erp.http.message_payloads import (
    BY_TYPE,
    AnyRequest,
    Named,
    Saying,
    SendAudio,
    SendContact,
    SendDocument,
    SendEdit,
    SendImage,
    SendLocation,
    SendPoll,
    SendReaction,
    SendReply,
    SendRevoke,
    SendSticker,
    SendText,
    SendVideo,
    SendVoice,
    WithFile,
)
from chatbot_erp.http.problems import INVALID, MALFORMED_JSON, FieldError, RequestRefused


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
        case SendText(text=text) | SendReply(text=text):
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
