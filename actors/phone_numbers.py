"""What a caller may write where a WhatsApp number is wanted."""

import re

from chatbot_erp.actors.errors import BadGroup, BadNumber

_SEPARATORS = re.compile(r"[\s().\-/]")
_DIGITS = re.compile(r"\+?([1-9][0-9]{6,14})")
_GROUP = re.compile(r"[0-9]{5,25}(-[0-9]{5,20})?@g\.us")
_JID = re.compile(r"[0-9]{5,20}@(s\.whatsapp\.net|lid)|[0-9]{5,25}(-[0-9]{5,20})?@g\.us")

_QUOTED = re.compile(r"\+?[0-9]{6,}(?:[.:][0-9]+)*(?:-[0-9]+)?(?:@[\w.]+)?")


def normalise(number: str) -> str:
    """E.164 digits without the `+`, or the full jid that was given.

    Raises `BadNumber`. Digits are 7 to 15 with the country code first, as E.164 has them; separators fall away.
    """
    given = number.strip()
    if _JID.fullmatch(given):
        return given
    match = _DIGITS.fullmatch(_SEPARATORS.sub("", given))
    if len(number) > 64 or match is None:
        raise BadNumber("A number is 7 to 15 digits with the country code first, or a full JID.")
    return match[1]


def digits(number: str) -> str:
    """As `normalise`, for a phone's own number, where a jid makes no sense. Raises `BadNumber`."""
    normalised = normalise(number)
    if "@" in normalised:
        raise BadNumber("Give the phone's number as digits.")
    return normalised


def without_numbers(detail: str) -> str:
    """What a library says, without the numbers it quotes: in the log these stand sealed, where the message is."""
    return _QUOTED.sub("(number)", detail)


def person(number: str) -> str:
    """As `normalise`, for somebody, where a group makes no sense. Raises `BadNumber`."""
    normalised = normalise(number)
    if normalised.endswith("@g.us"):
        raise BadNumber("Give the number of a person, not a group.")
    return normalised


def group(jid: str) -> str:
    """The jid of a group, as it was given. Raises `BadGroup`."""
    if not _GROUP.fullmatch(jid.strip()):
        raise BadGroup("A group's JID is digits and '@g.us'.")
    return jid.strip()
