"""Bodies with a file in them: taken from the caller piece by piece, into the outbox, never whole into memory.

waitress keeps a large body in a temporary file without a name. A base64 text in JSON is read there in place.
"""

import base64
import binascii
import mmap
from collections.abc import Iterator
from typing import Any

import msgspec
from falcon import MEDIA_MULTIPART
from falcon.media import MultipartFormHandler

from chatbot_erp.actors.errors import BadMedia
from chatbot_erp.actors.media_specs import file_name
from chatbot_erp.actors.outbox import Outbox, Parcel
from chatbot_erp.http.bodies import why_not_json
from chatbot_erp.http.exchange import LARGEST_BODY, Incoming, Request
from chatbot_erp.http.media import check_json
from chatbot_erp.http.problems import CONTENT_TOO_LARGE, INVALID, MALFORMED_JSON, FieldError, RequestRefused

PIECE = 256 * 1024
MESSAGE, FILE = "message", "file"
NULL = msgspec.Raw(b"null")
_LONGEST_ESCAPE = 6
_PREAMBLE = 200
"""How far the media type of a `data:` URI is looked for."""

_FORMS = MultipartFormHandler()


class _Large(msgspec.Struct):
    """What of a message may be large; all else is passed over, and nothing is made of it."""

    data: msgspec.Raw = NULL


def take_in(req: Request, outbox: Outbox) -> Incoming:
    """The message and its file, from multipart/form-data or JSON.

    Raises `RequestRefused`, `BadMedia`, `MediaTooLarge`, `Unavailable`; then there is nothing in the outbox.
    """
    kind = (req.content_type or "").partition(";")[0].strip().lower()
    return _from_form(req, outbox) if kind == MEDIA_MULTIPART else _from_json(req, outbox)


def _from_form(req: Request, outbox: Outbox) -> Incoming:
    message: bytes | None = None
    parcel: Parcel | None = None
    try:
        for part in _FORMS.deserialize(req.bounded_stream, req.content_type, req.content_length):
            if part.name == MESSAGE and message is None:
                message = part.stream.read(LARGEST_BODY + 1)
                if len(message) > LARGEST_BODY:
                    raise RequestRefused(CONTENT_TOO_LARGE, "The part 'message' has more than 1 MiB.")
            elif part.name == FILE and parcel is None:
                # What a part is that does not say so: then its name tells more.
                mime_type = "" if part.content_type == "text/plain" else part.content_type
                name = file_name(part.filename, mime_type, "") if part.filename else ""
                parcel = outbox.take(_pieces(part.stream), mime_type=mime_type, name=name)
            elif part.name in (MESSAGE, FILE):
                raise _refused(part.name, "There is more than one such part.")
        if message is None:
            raise _refused(MESSAGE, "The part with the message, as JSON, is missing.")
        members = _members(message)
        if _says_data(members):
            if parcel is not None:
                raise _refused("data", "Give the file once: as 'data', 'url' or a part 'file'.")
            return _with_data(members, outbox)
    except BaseException as ex:
        if parcel is not None:
            outbox.remove(parcel.id)
        if isinstance(ex, UnicodeDecodeError):
            raise _refused(FILE, "A file name or media type in the form is not UTF-8.") from ex
        raise
    return Incoming(message=message, parcel=parcel)


def _pieces(stream: Any) -> Iterator[bytes]:
    while piece := stream.read(PIECE):
        yield piece


def _from_json(req: Request, outbox: Outbox) -> Incoming:
    return _with_data(_members(_whole(req)), outbox)


def _members(body: Any) -> dict[str, msgspec.Raw]:
    """Views of where they stand in the body: nothing is copied.

    Each takes some 150 bytes all the same: how many there can be is found out before they are made.
    """
    try:
        if len(body) > LARGEST_BODY:
            large = msgspec.json.decode(body, type=_Large).data
            if len(body) - len(memoryview(large)) > LARGEST_BODY:
                raise RequestRefused(CONTENT_TOO_LARGE, "The message has more than 1 MiB beside its 'data'.")
        return msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    except msgspec.ValidationError as ex:
        raise _refused("", "Expected an object.") from ex
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as ex:
        if len(body) > LARGEST_BODY:
            raise RequestRefused(MALFORMED_JSON, "The body is not JSON, or a text in it is not valid Unicode.") from ex
        raise RequestRefused(MALFORMED_JSON, why_not_json(bytes(body), ex)) from ex


def _says_data(members: dict[str, msgspec.Raw]) -> bool:
    return bytes(memoryview(members.get("data", NULL))[:4]) != bytes(NULL)


def _with_data(members: dict[str, msgspec.Raw], outbox: Outbox) -> Incoming:
    """The message without its `data`, and that in the outbox."""
    message = msgspec.json.encode({name: value for name, value in members.items() if name != "data"})
    if len(message) > LARGEST_BODY:
        raise RequestRefused(CONTENT_TOO_LARGE)
    if not _says_data(members):
        return Incoming(message=message, parcel=None)
    data = memoryview(members["data"])
    if bytes(data[:1]) != b'"':
        raise _refused("data", "Expected a text in base64.")
    mime_type, start = _preamble(bytes(data[1:_PREAMBLE]))
    return Incoming(message=message, parcel=outbox.take(decoded(data[1 + start : -1]), mime_type=mime_type))


def _whole(req: Request) -> Any:
    """The body in memory, or as if it were there. Raises `RequestRefused` for what says to be no JSON."""
    check_json(req)
    if (req.content_length or 0) <= LARGEST_BODY:
        return req.body()
    stream: Any = req.stream
    try:
        stream.flush()
        return mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
    except (AttributeError, OSError):
        # Not that large, or not from waitress.
        return req.bounded_stream.read()


def _preamble(text: bytes) -> tuple[str, int]:
    """The media type of a `data:` URI and where its base64 begins; other texts are all base64."""
    head, comma, _ = text.partition(b",")
    if not comma or not head.startswith(b"data:"):
        return "", 0
    return head[5:].partition(b";")[0].replace(b"\\/", b"/").decode("ascii", "replace"), len(head) + 1


def decoded(text: memoryview) -> Iterator[bytes]:
    """The bytes of a base64 text that stands in JSON, as escaped as some libraries do it. Raises `BadMedia`."""
    left = escaped = b""
    for start in range(0, len(text), PIECE):
        chunk = escaped + bytes(text[start : start + PIECE])
        escaped = b""
        cut = chunk.rfind(b"\\", -_LONGEST_ESCAPE)
        if cut >= 0 and start + PIECE < len(text):
            chunk, escaped = chunk[:cut], chunk[cut:]
        try:
            if b"\\" in chunk:
                chunk = msgspec.json.decode(b'"%b"' % chunk, type=str).encode()
            left += b"".join(chunk.split())
            usable = len(left) - len(left) % 4
            yield base64.b64decode(left[:usable], validate=True)
        except (msgspec.DecodeError, binascii.Error, UnicodeError) as ex:
            raise BadMedia("'data' is not base64.") from ex
        left = left[usable:]
    if left:
        raise BadMedia("'data' is not base64: its end is missing.")


def _refused(field: str, detail: str) -> RequestRefused:
    return RequestRefused(
        INVALID, "The body is not what this call takes.", [FieldError(field=field, location="body", detail=detail)]
    )
