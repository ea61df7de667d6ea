"""Numbers and the addresses made of them.

A user has two JIDs: NUMBER@s.whatsapp.net and an opaque LID@lid that hides the number; each linked companion has a
device number behind the user, the phone itself is device 0 and shows none (whatsmeow, types/jid.go).
"""

from __future__ import annotations

import hashlib
import re
from typing import NamedTuple

USER = "s.whatsapp.net"
LID = "lid"
GROUP = "g.us"
BROADCAST = "broadcast"


class Jid(NamedTuple):
    """An address on the network."""

    user: str
    server: str
    device: int = 0

    def __str__(self) -> str:
        device = f":{self.device}" if self.device else ""
        return f"{self.user}{device}@{self.server}"

    def bare(self) -> Jid:
        """The user's address, without the device."""
        return Jid(self.user, self.server)


SERVER_JID = Jid("", USER)
STATUS = Jid("status", BROADCAST)
"""Where a phone posts what all its contacts may see for a day."""


def parse_jid(text: str) -> Jid:
    """Read a JID that a client wrote as a plain string."""
    user, _, server = text.rpartition("@")
    user, _, device = user.partition(":")
    return Jid(user, USER if server == "c.us" else server, int(device) if device.isdigit() else 0)


def as_jid(value: str | Jid) -> Jid:
    """An address, however the client wrote it."""
    return value if isinstance(value, Jid) else parse_jid(value)


def digits(number: str) -> str:
    """The bare number: "+55 11 98765-4321" and "5511987654321@s.whatsapp.net" are both 5511987654321."""
    bare = re.sub(r"\D", "", number.partition("@")[0].partition(":")[0])
    if not 5 <= len(bare) <= 20:
        raise ValueError(f"{number!r} is no phone number.")
    return bare


def default_lid(number: str) -> str:
    """A LID for a number: fifteen digits that do not show it, the same ones in every run."""
    return str(10**14 + int.from_bytes(hashlib.sha256(number.encode()).digest()[:8], "big") % (9 * 10**14))


def spellings(number: str) -> tuple[str, ...]:
    """All numbers under which WhatsApp finds an account: Brazilian mobiles with and without the ninth digit.

    Accounts from before 2012–2016 are registered as 55 + area + 8 digits, although the number is now dialled with a 9
    before them; WhatsApp resolves either to the account there is. Landlines begin with 2 to 5 and never have the 9.
    """
    if re.fullmatch(r"55\d\d9\d{8}", number):
        return number, number[:4] + number[5:]
    if re.fullmatch(r"55\d\d[^2-5]\d{7}", number):
        return number, number[:4] + "9" + number[4:]
    return (number,)
