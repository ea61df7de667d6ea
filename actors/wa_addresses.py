"""From what a caller writes to the account that WhatsApp knows. One cache, for sends and for look-ups.

Asking about many numbers is what gets numbers banned, so what was found stays known for the life of the socket, what
was not found for a while, and a long list is asked about in parts, with pauses.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from chatbot_erp.actors.wa_client import LibraryError

REMEMBERED = 4096
MISSING_FOR_S = 300.0
"""Whoever is not on WhatsApp now may be soon."""

AT_ONCE = 50
PAUSE_S = 1.0

_NOBODY = "Function returned nothing."
"""neonize's error where WhatsApp found none of the numbers worth an entry."""

_PHONE = "s.whatsapp.net"
_BRAZIL = "55"


class NotOnWhatsApp(Exception):
    """Raised when WhatsApp says that none of a number's spellings is an account."""


class Account(NamedTuple):
    """Somebody on WhatsApp: `jid` is the phone number's where the library knows it, else the LID."""

    jid: str
    lid: str | None


class Directory(Protocol):
    """The part of `wa_client.Client` that knows numbers."""

    def find(self, numbers: Sequence[str]) -> dict[str, str]: ...

    def phone_number_of(self, lid: str) -> str | None: ...


class Addresses:
    """Asks WhatsApp about numbers, and remembers the answers. Any thread may call it."""

    def __init__(
        self,
        directory: Directory,
        *,
        remembered: int = REMEMBERED,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._directory = directory
        self._remembered = remembered
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()
        self._found: OrderedDict[str, Account] = OrderedDict()
        self._missing: OrderedDict[str, float] = OrderedDict()
        self._next_list = float("-inf")

    def resolve(self, to: str) -> str:
        """The jid to send to. Raises `NotOnWhatsApp`, or `LibraryError` if WhatsApp could not be asked."""
        user, _, server = to.partition("@")
        if server not in {"", _PHONE}:
            return to
        digits = user.partition(":")[0]
        # A message is worth asking again for a number that was missing a moment ago.
        account = self._known([digits]).get(digits) or self._ask([digits])[digits]
        if account is None:
            raise NotOnWhatsApp(f"{digits} is not on WhatsApp.")
        return account.jid

    def look_up(self, numbers: Sequence[str]) -> dict[str, Account | None]:
        """Who these numbers (digits) are; None is not on WhatsApp. Takes its time over a long list.

        Raises `LibraryError` if WhatsApp could not be asked.
        """
        answers = self._known(numbers)
        unknown = [number for number in dict.fromkeys(numbers) if number not in answers]
        for start in range(0, len(unknown), AT_ONCE):
            self._wait_for_turn()
            answers |= self._ask(unknown[start : start + AT_ONCE])
        return answers

    def _known(self, numbers: Sequence[str]) -> dict[str, Account | None]:
        known: dict[str, Account | None] = {}
        with self._lock:
            for number in numbers:
                if number in self._found:
                    self._found.move_to_end(number)
                    known[number] = self._found[number]
                elif self._missing.get(number, float("-inf")) > self._clock():
                    known[number] = None
        return known

    def _ask(self, numbers: Sequence[str]) -> dict[str, Account | None]:
        forms = {number: spellings(number) for number in numbers}
        try:
            found = self._directory.find([form for each in forms.values() for form in each])
        except LibraryError as ex:
            if str(ex) != _NOBODY:
                raise
            found = {}
        answers: dict[str, Account | None] = {}
        for number, each in forms.items():
            jid = next((found[form] for form in each if form in found), None)
            answers[number] = self._account(jid) if jid is not None else None
        self._remember(answers)
        return answers

    def _account(self, jid: str) -> Account:
        if not jid.endswith("@lid"):
            return Account(jid, None)
        try:
            return Account(self._directory.phone_number_of(jid) or jid, jid)
        except LibraryError:
            return Account(jid, jid)

    def _remember(self, answers: dict[str, Account | None]) -> None:
        with self._lock:
            for number, account in answers.items():
                if account is not None:
                    self._found[number] = account
                    self._missing.pop(number, None)
                else:
                    self._missing[number] = self._clock() + MISSING_FOR_S
            for memory in (self._found, self._missing):
                while len(memory) > self._remembered:
                    memory.popitem(last=False)

    def _wait_for_turn(self) -> None:
        with self._lock:
            now = self._clock()
            wait_s = max(0.0, self._next_list - now)
            self._next_list = now + wait_s + PAUSE_S
        if wait_s:
            self._sleep(wait_s)


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
