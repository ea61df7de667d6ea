"""What a caller may write where a WhatsApp number is wanted."""

import re

import phonenumbers

from chatbot_erp.actors.errors import BadGroup, BadNumber

_SEPARATORS = re.compile(r"[\s().\-/]")
_DIGITS = re.compile(r"\+?([1-9][0-9]{6,14})")
_GROUP = re.compile(r"[0-9]{5,25}(-[0-9]{5,20})?@g\.us")
_JID = re.compile(r"[0-9]{5,20}@(s\.whatsapp\.net|lid)|[0-9]{5,25}(-[0-9]{5,20})?@g\.us")

_QUOTED = re.compile(r"\+?[0-9]{6,}(?:[.:][0-9]+)*(?:-[0-9]+)?(?:@[\w.]+)?")


def normalise(number: str, region: str | None = None) -> str:
    """E.164 digits without the `+`, or the full jid that was given.

    Digits are 7 to 15 with the country code first, as E.164 has them; separators fall away. With a `region` (ISO 3166,
    such as BR) they may also be as they are dialled there; a `+` says that they begin with a country code for sure.
    Raises `BadNumber`.
    """
    given = number.strip()
    if _JID.fullmatch(given):
        return given
    if region and len(number) <= 64 and not given.startswith("+"):
        given = _dialled_in(region, given)
    match = _DIGITS.fullmatch(_SEPARATORS.sub("", given))
    if len(number) > 64 or match is None:
        raise BadNumber("A number is 7 to 15 digits with the country code first, or a full JID.")
    return match[1]


def _dialled_in(region: str, given: str) -> str:
    """With its country code, where it is more likely a number of that region than one of any other.

    Valid there, else valid as an international one, else at least possible there: Brazilian mobile numbers without
    the ninth digit, which WhatsApp still knows, are valid no more.
    """
    try:
        there = phonenumbers.parse(given, region)
    except phonenumbers.NumberParseException:
        return given
    if not phonenumbers.is_valid_number(there):
        try:
            if phonenumbers.is_valid_number(phonenumbers.parse(f"+{given}")):
                return given
        except phonenumbers.NumberParseException:
            pass
        if not phonenumbers.is_possible_number(there):
            return given
    return phonenumbers.format_number(there, phonenumbers.PhoneNumberFormat.E164)


def digits(number: str, region: str | None = None) -> str:
    """As `normalise`, for a phone's own number, where a jid makes no sense. Raises `BadNumber`."""
    normalised = normalise(number, region)
    if "@" in normalised:
        raise BadNumber("Give the phone's number as digits.")
    return normalised


def without_numbers(detail: str) -> str:
    """What a library says, without the numbers it quotes: in the log these stand sealed, where the message is."""
    return _QUOTED.sub("(number)", detail)


def person(number: str, region: str | None = None) -> str:
    """As `normalise`, for somebody, where a group makes no sense. Raises `BadNumber`."""
    normalised = normalise(number, region)
    if normalised.endswith("@g.us"):
        raise BadNumber("Give the number of a person, not a group.")
    return normalised


def group(jid: str) -> str:
    """The jid of a group, as it was given. Raises `BadGroup`."""
    if not _GROUP.fullmatch(jid.strip()):
        raise BadGroup("A group's JID is digits and '@g.us'.")
    return jid.strip()
