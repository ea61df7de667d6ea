"""Bodies read as what a call takes, or refused: every wrong field by its name, and nothing that was sent repeated."""

import json
import re
from typing import TypeVar

import msgspec
from msgspec.inspect import LiteralType, Metadata, StructType, UnionType

from chatbot_erp.http.problems import INVALID, MALFORMED_JSON, FieldError, RequestRefused

_HALF = re.compile(rb"\\u[dD][89a-fA-F]")
_PLACE = re.compile(r" - at `\$(.*)`$")

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
    """Why a value is not of a kind, or None. The library's own sentence would repeat what is none of a few words."""
    try:
        msgspec.json.decode(value, type=kind)
    except msgspec.ValidationError as ex:
        if not str(ex).startswith("Invalid enum value"):
            return f"{ex}."
        where = _PLACE.search(str(ex))
        allowed = choices(msgspec.inspect.type_info(kind), where[1].split(".")[1:] if where else [])
        return f"It is one of {', '.join(allowed)}{where[0] if where else ''}."
    return None


def choices(kind: msgspec.inspect.Type, path: list[str]) -> list[str]:
    """The values that are allowed in a kind, or in the field within it that a path leads to."""
    match kind:
        case Metadata(type=inner):
            return choices(inner, path)
        case UnionType(types=kinds):
            return [each for inner in kinds for each in choices(inner, path)]
        case StructType(fields=fields) if path:
            return [each for field in fields if field.encode_name == path[0] for each in choices(field.type, path[1:])]
        case LiteralType(values=values) if not path:
            return [str(value) for value in values]
        case _:
            return []
