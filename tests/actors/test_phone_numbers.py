"""What may stand where a number is wanted."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatbot_erp.actors.errors import BadNumber
from chatbot_erp.actors.phone_numbers import digits, normalise, without_numbers


@pytest.mark.parametrize(
    ("given_as", "expected"),
    [
        ("559199999999", "559199999999"),
        ("+55 (91) 9999-9999", "559199999999"),
        (" +1.415.555.0100 ", "14155550100"),
        ("559199999999@s.whatsapp.net", "559199999999@s.whatsapp.net"),
        ("123456789012345@lid", "123456789012345@lid"),
        ("120363041234567890@g.us", "120363041234567890@g.us"),
        ("5591999-1600000000@g.us", None),
    ],
)
def test_separators_fall_away_and_a_jid_stays(given_as: str, expected: str | None) -> None:
    assert normalise(given_as) == (expected or given_as)


@pytest.mark.parametrize(
    "bad", ["", "12345", "abc", "+", "0551199999999", "1" * 16, "55@evil.example", "٥٥١١٩٩٩٩٩٩٩٩", "1" * 9999]
)
def test_what_cannot_be_a_number_is_refused(bad: str) -> None:
    with pytest.raises(BadNumber):
        normalise(bad)


@given(st.text(max_size=40))
def test_any_text_is_either_normalised_or_refused(text: str) -> None:
    try:
        number = normalise(text)
    except BadNumber:
        return
    assert normalise(number) == number


@pytest.mark.parametrize(
    ("given_as", "expected"),
    [
        ("(91) 99999-9999", "5591999999999"),
        ("091 99999-9999", "5591999999999"),
        ("91 9999-9999", "559199999999"),
        ("11 3232-3232", "551132323232"),
        ("559199999999", "559199999999"),
        ("5591999999999", "5591999999999"),
        ("+55 91 99999-9999", "5591999999999"),
        ("+1 415 555 2671", "14155552671"),
        ("4915112345678", "4915112345678"),
        ("351912345678", "351912345678"),
        ("123456789012345@lid", "123456789012345@lid"),
    ],
)
def test_in_a_region_a_number_may_be_as_it_is_dialled_there(given_as: str, expected: str) -> None:
    assert normalise(given_as, "BR") == expected


@pytest.mark.parametrize("bad", ["", "0", "9999", "abc", "+", "x" * 65, "1" * 9999, "91 99999-9999 ramal 5"])
def test_in_a_region_too_what_cannot_be_a_number_is_refused(bad: str) -> None:
    with pytest.raises(BadNumber):
        normalise(bad, "BR")


@given(st.text(max_size=40), st.sampled_from(["BR", "PT", "US", "DE"]))
def test_in_a_region_any_text_is_either_normalised_or_refused(text: str, region: str) -> None:
    try:
        number = normalise(text, region)
    except BadNumber:
        return
    assert normalise(f"+{number}" if "@" not in number else number, region) == number


def test_a_phone_is_not_named_by_a_jid() -> None:
    with pytest.raises(BadNumber):
        digits("559199999999@s.whatsapp.net")


def test_what_a_library_says_is_told_without_the_numbers_it_quotes() -> None:
    detail = "server returned error 463 for 5511987654321:12@s.whatsapp.net (alias 200000000000001@lid)"
    assert without_numbers(detail) == "server returned error 463 for (number) (alias (number))"
