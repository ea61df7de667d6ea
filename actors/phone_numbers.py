"""What a caller may write where a WhatsApp number is wanted."""

import re

from chatbot_erp.actors.errors import BadNumber

_SEPARATORS = re.compile(r"[\s().\-/]")
_DIGITS = re.compile(r"\+?([1-9][0-9]{6,14})")
_JID = re.compile(r"[0-9]{5,20}@(s\.whatsapp\.net|lid)|[0-9]{5,25}(-[0-9]{5,20})?@g\.us")


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
