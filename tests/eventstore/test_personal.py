"""Every field of every event is declared as plain or personal, and what is personal can be emptied."""

import pytest

from chatbot_erp.eventstore.addresses import canonical, written_forms
from chatbot_erp.eventstore.events import EVENT_NAMES, Event
from chatbot_erp.eventstore.personal import DECLARED, emptied


@pytest.mark.parametrize("kind", EVENT_NAMES)
def test_every_field_is_declared_plain_or_personal(kind: type[Event]) -> None:
    assert kind in DECLARED, (
        f"{kind.__name__} is new: add a line to DECLARED in eventstore/personal.py, for instance\n"
        f'    {kind.__name__}: plain("{" ".join(kind.__struct_fields__)}"),\n'
        "and name what somebody wrote or what says who somebody is as personal, with `of`: the field with the number."
    )
    declared = DECLARED[kind]
    fields = set(kind.__struct_fields__)
    named = [*declared.plain, *declared.personal]
    assert fields <= set(named), (
        f"{kind.__name__} has the new fields {sorted(fields - set(named))}. Are they personal: written by somebody, or "
        "a number, a jid, a name? Add each to one of the two lists of its line in DECLARED (eventstore/personal.py)."
    )
    assert set(named) <= fields, f"{kind.__name__} has no fields {sorted(set(named) - fields)} any more."
    assert len(set(named)) == len(named), f"A field of {kind.__name__} stands in both lists."
    of = {*declared.of, *([declared.alias] if declared.alias else [])}
    assert of <= set(declared.personal), f"What names the subject of {kind.__name__} must be personal itself."
    assert bool(declared.personal) == bool(declared.of)


@pytest.mark.parametrize("kind", [kind for kind, declared in DECLARED.items() if declared.personal])
def test_every_personal_field_has_an_empty_form(kind: type[Event]) -> None:
    assert emptied(kind).keys() == set(DECLARED[kind].personal)


@pytest.mark.parametrize(
    ("spelling", "same"),
    [
        ("5511987654321", "551187654321"),
        ("+5511987654321", "5511987654321@s.whatsapp.net"),
        ("551187654321:12@s.whatsapp.net", "5511987654321"),
        ("200000000000001@lid", "200000000000001:3@lid"),
        ("5511987654321@hosted", "5511987654321"),
        ("200000000000001@lid", "200000000000001:99@hosted.lid"),
    ],
)
def test_two_spellings_of_one_party_are_the_same(spelling: str, same: str) -> None:
    assert canonical(spelling) == canonical(same)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("5511987654321", "5511987654322"),
        ("551131234567", "5511931234567"),  # a fixed line, and somebody's mobile phone
        ("200000000000001@lid", "200000000000001"),
        ("1203630000@g.us", "1203630000"),
        ("491701234567", "49170123456"),
    ],
)
def test_two_parties_are_never_taken_for_one(one: str, other: str) -> None:
    assert canonical(one) != canonical(other)


def test_the_forms_in_which_an_address_is_written_all_lead_back_to_it() -> None:
    assert set(written_forms(canonical("5511987654321"))) == {"5511987654321", "551187654321"}
    assert written_forms("200000000000001@lid") == ("200000000000001",)
