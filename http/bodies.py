"""Bodies read as what a call takes, or refused: every wrong field by its name, and nothing that was sent repeated."""

import json
import re
from typing import TypeVar

import msgspec

from chatbot_erp.http.problems import INVALID, MALFORMED_JSON, FieldError, RequestRefused

_HALF = re.compile(rb"\\u[dD][89a-fA-F]")

T = TypeVar("T", bound=msgspec.Struct)


def parse(body: bytes, kind: type[T]) -> T:
    """The body as `kind`. Raises `RequestRefused`: not JSON at all, or `errors` that name each wrong field."""
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as ex:
        raise RequestRefused(INVALID, "The body is not what this call takes.", faults(body, kind)) from ex
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as ex:
        raise RequestRefused(MALFORMED_JSON, why_not_json(body, ex)) from ex


def why_not_json(body: bytes, ex: Exception) -> str:
    """A sentence for people; it never repeats what was sent."""
    if not body.strip():
        return "The body is empty."
    if isinstance(ex, UnicodeDecodeError):
        return "The body is not UTF-8."
    if isinstance(ex, RecursionError):
        return "The body is nested too deep."
    return "A text in the body is not valid Unicode (a lone surrogate)." if _is_lenient_json(body) else f"{ex}."


def _is_lenient_json(body: bytes) -> bool:
    """Whether all that is wrong are halves of characters: Python's own reader takes them, and msgspec misnames them."""
    try:
        json.loads(body)
    except (ValueError, RecursionError):
        return False
    return _HALF.search(body) is not None


def faults(body: bytes, kind: type[msgspec.Struct]) -> list[FieldError]:
    """Everything that is wrong with a body, not only the first thing. Raises `RequestRefused` if it is not JSON."""
    found = []
    try:
        given = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
        for field in msgspec.structs.fields(kind):
            name = field.encode_name
            if name not in given and field.required:
                found.append(FieldError(field=name, location="body", detail="It is required."))
            elif name in given and (fault := fault_of(given[name], field.type)):
                found.append(FieldError(field=name, location="body", detail=fault))
    except msgspec.ValidationError:
        return [FieldError(field="", location="body", detail="Expected an object.")]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as ex:
        raise RequestRefused(MALFORMED_JSON, why_not_json(body, ex)) from ex
    return found


def nothing_to_change(detail: str, *fields: str) -> RequestRefused:
    """What a change is that names none of the `fields` that can be changed."""
    known = [FieldError(field=field, location="body", detail=detail) for field in fields]
    return RequestRefused(INVALID, "The body names nothing that can be changed.", known)


def fault_of(value: msgspec.Raw, kind: object) -> str | None:
    """Why a value is not of a kind, or None."""
    try:
        msgspec.json.decode(value, type=kind)
    except msgspec.ValidationError as ex:
        return f"{ex}."
    return None
