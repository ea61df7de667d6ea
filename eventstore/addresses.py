"""When two spellings of a WhatsApp address are the same party."""

from functools import lru_cache

_PHONE = {"", "s.whatsapp.net", "c.us", "hosted"}
_LID = {"lid", "hosted.lid"}
"""`hosted…` is the device of a business that Meta runs: the same party as its phone."""
_BRAZIL = "55"
_OLD_MOBILES = "6789"
"""What Brazilian mobile numbers began with before the ninth digit; a fixed line's number never does."""


@lru_cache(maxsize=20_000)
def canonical(address: str) -> str:
    """One text for all spellings of a number or jid: bare digits for a phone's number, `user@server` otherwise.

    Without the device. A Brazilian mobile number has no ninth digit here where it can have been without one.
    """
    user, _, server = address.strip().partition("@")
    user = user.partition(":")[0]
    if server in _LID:
        return f"{user}@lid"
    if server not in _PHONE:
        return f"{user}@{server}"
    digits = user.lstrip("+")
    if digits.startswith(_BRAZIL) and len(digits) == 13 and digits[4] == "9" and digits[5] in _OLD_MOBILES:
        return digits[:4] + digits[5:]
    return digits


def written_forms(address: str) -> tuple[str, ...]:
    """The user parts under which a canonical address can stand in a text."""
    user, _, server = address.partition("@")
    if not server and user.startswith(_BRAZIL) and len(user) == 12 and user[4] in _OLD_MOBILES:
        return user, f"{user[:4]}9{user[4:]}"
    return (user,)
