"""From what a caller writes to the jid that WhatsApp knows."""

from collections import OrderedDict
from collections.abc import Sequence
from typing import Protocol

from chatbot_erp.actors.wa_client import LibraryError

REMEMBERED = 4096

_PHONE = "s.whatsapp.net"
_BRAZIL = "55"


class NotOnWhatsApp(Exception):
    """Raised when WhatsApp says that none of a number's spellings is an account."""


class Directory(Protocol):
    """The part of `wa_client.Client` that knows numbers."""

    def find(self, numbers: Sequence[str]) -> dict[str, str]: ...

    def phone_number_of(self, lid: str) -> str | None: ...


class Addresses:
    """Asks WhatsApp about numbers, and remembers the ones that were found."""

    def __init__(self, directory: Directory, *, remembered: int = REMEMBERED) -> None:
        self._directory = directory
        self._remembered = remembered
        self._found: OrderedDict[str, str] = OrderedDict()

    def resolve(self, to: str) -> str:
        """The jid to send to. Raises `NotOnWhatsApp`, or `LibraryError` if WhatsApp could not be asked."""
        user, _, server = to.partition("@")
        if server not in {"", _PHONE}:
            return to
        digits = user.partition(":")[0]
        if digits in self._found:
            self._found.move_to_end(digits)
            return self._found[digits]
        jid = self._found[digits] = self._ask(digits)
        if len(self._found) > self._remembered:
            self._found.popitem(last=False)
        return jid

    def _ask(self, digits: str) -> str:
        forms = spellings(digits)
        answers = self._directory.find(forms)
        jid = next((answers[form] for form in forms if form in answers), None)
        if jid is None:
            raise NotOnWhatsApp(f"{digits} is not on WhatsApp.")
        return self._phone_number(jid) if jid.endswith("@lid") else jid

    def _phone_number(self, lid: str) -> str:
        try:
            return self._directory.phone_number_of(lid) or lid
        except LibraryError:
            return lid


def spellings(digits: str) -> tuple[str, ...]:
    """The number as given first, then the other form under which WhatsApp may know it.

    Brazilian mobile numbers got a ninth digit (a 9 after the area code) when many accounts existed already; WhatsApp
    keeps the older accounts under the eight-digit form.
    """
    if digits.startswith(_BRAZIL):
        area, local = digits[2:4], digits[4:]
        if len(local) == 9 and local[0] == "9":
            return digits, f"{_BRAZIL}{area}{local[1:]}"
        if len(local) == 8 and local[0] in "6789":
            return digits, f"{_BRAZIL}{area}9{local}"
    return (digits,)
