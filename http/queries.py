"""What callers write behind the '?': each function reads one parameter or refuses the request naming it."""

import re
from datetime import datetime
from typing import Literal, NoReturn

from chatbot_erp.eventstore.events import EVENT_NAMES
from chatbot_erp.eventstore.records import LARGEST_POSITION, MAIN
from chatbot_erp.http.exchange import Request
from chatbot_erp.http.payloads import utc
from chatbot_erp.http.problems import INVALID, NOT_FOUND, FieldError, RequestRefused

LARGEST_PAGE = 1000
USUAL_PAGE = 100
TYPES = frozenset(EVENT_NAMES.values())

_DIGITS = re.compile(r"[0-9]{1,19}")


def refuse(name: str, detail: str, location: Literal["query", "header"] = "query") -> NoReturn:
    """Refuse the request for the sake of one parameter."""
    raise RequestRefused(INVALID, detail, [FieldError(field=name, location=location, detail=detail)])


def one(req: Request, name: str) -> str | None:
    """The parameter's value, or None. One that stands twice is refused: who could say which was meant?"""
    values = req.get_param_as_list(name)
    if values is not None and len(values) > 1:
        refuse(name, f"'{name}' stands there more than once.")
    return values[0] if values else None


def after(req: Request) -> int:
    """The position that the page begins behind; 0 is the beginning."""
    return number(req, "after", least=0, most=LARGEST_POSITION, usual=0)


def before(req: Request) -> int | None:
    """The position that a page from the end stands ahead of; None is a page from the beginning."""
    if one(req, "before") is None:
        return None
    return number(req, "before", least=1, most=LARGEST_POSITION, usual=1)


def last_event(text: str) -> int:
    """The position that a consumer of the stream was at."""
    if not _DIGITS.fullmatch(text) or int(text) > LARGEST_POSITION:
        refuse("Last-Event-ID", "'Last-Event-ID' is the position of an event.", "header")
    return int(text)


def limit(req: Request) -> int:
    """How many events a page has at most."""
    return number(req, "limit", least=1, most=LARGEST_PAGE, usual=USUAL_PAGE)


def number(req: Request, name: str, *, least: int, most: int, usual: int) -> int:
    """A whole number in plain digits."""
    text = one(req, name)
    if text is None:
        return usual
    if not _DIGITS.fullmatch(text) or not least <= int(text) <= most:
        refuse(name, f"'{name}' is a whole number from {least} to {most}.")
    return int(text)


def types(req: Request) -> set[str]:
    """The event types that are wanted, from `type=a&type=b` or `type=a,b`; none is all of them."""
    wanted = {name for value in req.get_param_as_list("type") or () for name in value.split(",")} - {""}
    if not wanted <= TYPES:
        refuse("type", f"The types are {', '.join(sorted(TYPES))}.")
    return wanted


def at(req: Request) -> int | datetime | None:
    """A global position or a moment (ISO 8601, UTC where it has no offset); None is now."""
    text = one(req, "at")
    if text is None or text == "":
        return None
    if _DIGITS.fullmatch(text) and int(text) <= LARGEST_POSITION:
        return int(text)
    # A '+' that was not percent-encoded arrives as a space: 2026-01-31T12:00:00+01:00 is meant.
    for reading in (text, "+".join(text.rsplit(" ", 1))):
        try:
            return utc(datetime.fromisoformat(reading))
        except (ValueError, OverflowError):
            continue
    refuse("at", "'at' is a position of the log or a moment such as 2026-01-31T12:00:00Z.")


def position(text: str) -> int:
    """A position of the log that stands in a path."""
    if not _DIGITS.fullmatch(text) or not 1 <= int(text) <= LARGEST_POSITION:
        raise RequestRefused(NOT_FOUND, "A position is a whole number from 1.")
    return int(text)


def endpoint(req: Request) -> str:
    """Which of an instance's endpoints; the first one where none is named."""
    return one(req, "endpoint") or MAIN


def flag(req: Request, name: str, *, usual: bool) -> bool:
    """'true' or 'false'."""
    text = one(req, name)
    if text is None:
        return usual
    if text not in ("true", "false"):
        refuse(name, f"'{name}' is true or false.")
    return text == "true"
