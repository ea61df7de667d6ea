"""Which jid a caller's number leads to."""

from collections.abc import Sequence

import pytest

from chatbot_erp.actors.wa_addresses import (
    AT_ONCE,
    MISSING_FOR_S,
    PAUSE_S,
    Account,
    Addresses,
    NotOnWhatsApp,
    spellings,
)
from chatbot_erp.actors.wa_client import LibraryError


class Directory:
    """The part of a client that answers for numbers."""

    def __init__(self, **known: str) -> None:
        self.known = {number.strip("_"): jid for number, jid in known.items()}
        self.asked: list[tuple[str, ...]] = []

    def find(self, numbers: Sequence[str]) -> dict[str, str]:
        self.asked.append(tuple(numbers))
        return {number: self.known[number] for number in numbers if number in self.known}

    def phone_number_of(self, lid: str) -> str | None:
        if lid == "1@lid":
            raise LibraryError("no such table")
        return {"2@lid": "5511@s.whatsapp.net"}.get(lid)


@pytest.mark.parametrize(
    ("digits", "forms"),
    [
        ("5521991234567", ("5521991234567", "552191234567")),
        ("552191234567", ("552191234567", "5521991234567")),
        ("552133334444", ("552133334444",)),
        ("351912345678", ("351912345678",)),
        ("14155550100", ("14155550100",)),
    ],
)
def test_brazilian_mobiles_have_two_spellings_and_others_one(digits: str, forms: tuple[str, ...]) -> None:
    assert spellings(digits) == forms


def test_the_spelling_whatsapp_knows_wins() -> None:
    directory = Directory(_552191234567="552191234567@s.whatsapp.net")
    assert Addresses(directory).resolve("5521991234567") == "552191234567@s.whatsapp.net"


def test_what_was_found_is_not_asked_again_and_what_was_not_is() -> None:
    directory = Directory(_49151="49151@s.whatsapp.net")
    book = Addresses(directory)
    for to in ("49151", "49151@s.whatsapp.net", "49151"):
        assert book.resolve(to) == "49151@s.whatsapp.net"
    for _ in range(2):
        with pytest.raises(NotOnWhatsApp):
            book.resolve("49999")
    assert directory.asked == [("49151",), ("49999",), ("49999",)]


@pytest.mark.parametrize("jid", ["1@lid", "12036@g.us", "1@newsletter"])
def test_other_jids_go_as_they_are(jid: str) -> None:
    directory = Directory()
    assert Addresses(directory).resolve(jid) == jid
    assert directory.asked == []


@pytest.mark.parametrize(("lid", "jid"), [("1@lid", "1@lid"), ("2@lid", "5511@s.whatsapp.net"), ("3@lid", "3@lid")])
def test_a_lid_for_an_answer_becomes_the_phone_number_where_it_is_known(lid: str, jid: str) -> None:
    assert Addresses(Directory(_49151=lid)).resolve("49151") == jid


def test_the_memory_is_bounded() -> None:
    directory = Directory(_1="1@s.whatsapp.net", _2="2@s.whatsapp.net", _3="3@s.whatsapp.net")
    book = Addresses(directory, remembered=2)
    for number in ("1", "2", "1", "3", "1", "2"):
        book.resolve(number)
    assert [asked for (asked,) in directory.asked] == ["1", "2", "3", "2"]


def test_a_list_is_asked_about_at_once_and_what_is_known_is_not() -> None:
    directory = Directory(_49151="49151@s.whatsapp.net", _552191234567="2@lid")
    book = Addresses(directory)
    book.resolve("49151")
    found = book.look_up(["5521991234567", "49999", "49151", "49999"])
    assert found == {
        "49151": Account("49151@s.whatsapp.net", None),
        "5521991234567": Account("5511@s.whatsapp.net", "2@lid"),
        "49999": None,
    }
    assert directory.asked[1:] == [("5521991234567", "552191234567", "49999")]


def test_who_was_missing_is_asked_for_again_after_a_while() -> None:
    now = [0.0]
    directory = Directory()
    book = Addresses(directory, clock=lambda: now[0], sleep=lambda _: None)
    for moment in (0.0, MISSING_FOR_S - 1, MISSING_FOR_S + 1):
        now[0] = moment
        assert book.look_up(["49999"]) == {"49999": None}
    assert len(directory.asked) == 2


def test_a_long_list_is_asked_about_in_parts_with_pauses() -> None:
    pauses: list[float] = []
    directory = Directory()
    book = Addresses(directory, clock=lambda: 0.0, sleep=pauses.append)
    book.look_up([str(490_000 + number) for number in range(2 * AT_ONCE + 1)])
    assert [len(asked) for asked in directory.asked] == [AT_ONCE, AT_ONCE, 1]
    assert pauses == [PAUSE_S, 2 * PAUSE_S]
