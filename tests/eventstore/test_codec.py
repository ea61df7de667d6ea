"""Events keep their meaning on the way into the log and out of it, today and after every change to come."""

import os
import types
import typing
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from typing import Any, Literal

import msgspec
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from chatbot_erp.eventstore.codec import CODEC, LARGEST, SCHEMAS, UPCASTERS, Codec
from chatbot_erp.eventstore.errors import LogCorrupt, LogTooNew, NotStorable
from chatbot_erp.eventstore.events import DELIVERED, EVENT_NAMES, Event, MessageAccepted, MessageReceived
from chatbot_erp.eventstore.sealing import Sealer, Stored
from chatbot_erp.eventstore.subject_keys import Lock, Wanted

GOLDEN = Path(__file__).with_name("golden")

RAW = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
).map(lambda value: msgspec.Raw(msgspec.json.encode(value)))


def values(kind: Any) -> st.SearchStrategy[Any]:
    """Anything that a field of this type may hold."""
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if origin in (types.UnionType, typing.Union):
        return st.one_of(*map(values, args))
    if origin is Literal:
        return st.sampled_from(args)
    if origin is tuple:
        return st.lists(values(args[0]), max_size=3).map(tuple)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return st.sampled_from(kind)
    simple: dict[Any, st.SearchStrategy[Any]] = {
        str: st.text(),
        bool: st.booleans(),
        int: st.integers(-(2**63), 2**63 - 1),
        float: st.floats(allow_nan=False, allow_infinity=False),
        type(None): st.none(),
        datetime: st.datetimes(timezones=st.just(UTC)),
        msgspec.Raw: RAW,
    }
    return simple[kind]


def facts(kind: type[Event]) -> st.SearchStrategy[Event]:
    hints = typing.get_type_hints(kind)
    return st.builds(kind, **{name: values(hints[name]) for name in kind.__struct_fields__})


@pytest.mark.parametrize("kind", EVENT_NAMES)
@given(data=st.data())
def test_every_event_comes_back_as_it_was(kind: type[Event], data: st.DataObject) -> None:
    event = data.draw(facts(kind))
    name, schema, text = CODEC.encode(event)
    assert name == EVENT_NAMES[kind]
    assert CODEC.decode(name, schema, text) == event
    assert "\0" not in text
    assert "\n" not in text


@pytest.mark.parametrize(
    "text", ["\0", "\u202e\u200b", "👩‍👩‍👧", "\U0010ffff", "\ufeff", "\x7f\x1b[31m", '"\\', "é", "e\u0301"]
)
def test_odd_text_comes_back_character_by_character(text: str) -> None:
    event = MessageAccepted(command_id="c", number="1", kind="text", text=text)
    back = CODEC.decode(*CODEC.encode(event))
    assert isinstance(back, MessageAccepted)
    assert back.text == text


def test_a_lone_surrogate_is_refused_without_being_quoted() -> None:
    event = MessageAccepted(command_id="c", number="1", kind="text", text="secret \ud800")
    with pytest.raises(NotStorable, match="lone surrogate") as caught:
        CODEC.encode(event)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("raw", [b"{", b"nonsense", b'{"a":1} trailing', b'"\xff"', b'"\\ud800"', b'"\n"', b"NaN"])
def test_a_raw_field_with_broken_json_is_refused(raw: bytes) -> None:
    event = MessageReceived(
        message_id="3EB0",
        jid="j",
        jid_alt=None,
        participant=None,
        push_name="",
        kind="text",
        text="",
        sent_at=datetime.now(UTC),
        raw=msgspec.Raw(raw),
    )
    with pytest.raises(NotStorable):
        CODEC.encode(event)


def test_an_event_that_is_far_too_large_is_refused() -> None:
    with pytest.raises(NotStorable, match="takes up to"):
        CODEC.encode(MessageAccepted(command_id="c", number="1", kind="text", text="x" * LARGEST))


def test_the_root_of_all_events_is_never_stored() -> None:
    with pytest.raises(NotStorable, match="no stored name"):
        CODEC.encode(Event())


def test_what_only_a_newer_manager_knows_is_refused() -> None:
    with pytest.raises(LogTooNew, match=r"message\.teleported"):
        CODEC.decode("message.teleported", 1, "{}")
    with pytest.raises(LogTooNew, match="version 2"):
        CODEC.decode("ping.sent", 2, "{}")


@pytest.mark.parametrize("data", ["", "{}", '{"messageId":7}', "[]", "nonsense"])
def test_a_stored_object_that_is_none_is_called_corrupt(data: str) -> None:
    with pytest.raises(LogCorrupt, match=r"ping\.sent"):
        CODEC.decode("ping.sent", 1, data)


class PhoneRang(Event, frozen=True, kw_only=True):
    """An event whose stored form changed twice."""

    caller: str
    seconds: int
    answered: bool


def test_an_old_version_is_lifted_step_by_step() -> None:
    codec = Codec(
        {PhoneRang: "phone.rang"},
        {"phone.rang": 3},
        {
            ("phone.rang", 1): lambda old: {"caller": old["from"], "seconds": old["minutes"] * 60},
            ("phone.rang", 2): lambda old: {**old, "answered": old["seconds"] > 0},
        },
    )
    today = PhoneRang(caller="Ana", seconds=120, answered=True)
    assert codec.decode("phone.rang", 1, '{"from":"Ana","minutes":2}') == today
    assert codec.decode("phone.rang", 2, '{"caller":"Ana","seconds":120}') == today
    assert codec.decode("phone.rang", 3, '{"caller":"Ana","seconds":120,"answered":true}') == today
    assert codec.encode(today)[1] == 3


def test_every_older_version_has_an_upcaster() -> None:
    assert set(SCHEMAS) <= set(EVENT_NAMES.values())
    assert set(UPCASTERS) == {(name, older) for name, newest in SCHEMAS.items() for older in range(1, newest)}


def test_stored_names_are_unique_and_every_event_has_one() -> None:
    assert len(set(EVENT_NAMES.values())) == len(EVENT_NAMES)
    assert EVENT_NAMES.keys() >= DELIVERED
    leaves = [kind for kind in _all_kinds(Event) if not _all_kinds(kind) and kind is not PhoneRang]
    assert set(leaves) == EVENT_NAMES.keys()


def _all_kinds(kind: type[Event]) -> list[type[Event]]:
    return [found for child in kind.__subclasses__() for found in (child, *_all_kinds(child))]


def golden_files() -> list[tuple[str, int]]:
    return [(name, version) for name in EVENT_NAMES.values() for version in range(1, SCHEMAS.get(name, 1) + 1)]


@pytest.mark.parametrize(("name", "version"), golden_files())
def test_every_version_ever_written_stays_readable(name: str, version: int) -> None:
    """Golden files are never changed once released; CHATBOT_ERP_GOLDEN=write adds those that are missing."""
    sealer = Sealer(OneKey(), first_nonce=0)
    path = GOLDEN / f"{name}.{version}.json"
    if not path.exists() and os.environ.get("CHATBOT_ERP_GOLDEN") == "write":
        kind = next(kind for kind, stored in EVENT_NAMES.items() if stored == name)
        path.write_text(seal(sealer, example(kind)).data, "utf-8")
    stored = path.read_text("utf-8")
    event, _, erased = sealer.open("stream", "id", name, version, stored)
    assert not erased
    if version == SCHEMAS.get(name, 1):
        assert seal(sealer, event)[:3] == (name, version, stored)


class OneKey:
    """Everybody's and every day's, for files that are to be the same for ever."""

    def locks(self, wanted: list[Wanted]) -> list[Lock]:
        return [Lock("0011223344556677", AESGCM(bytes(32))) for _ in wanted]

    def lock_of_known(self, wanted: Wanted) -> Lock | None:
        return self.locks([wanted])[0]

    def cipher(self, subject: str, period: str) -> AESGCM | None:
        return AESGCM(bytes(32)) if subject == "0011223344556677" else None


def seal(sealer: Sealer, event: Event) -> Stored:
    wanted = sealer.wanted(event, "2026-11-24")
    (lock,) = sealer.locks([wanted]) if wanted else [None]
    return sealer.seal("stream", "id", event, "2026-11-24", lock)


def example(kind: type[Event]) -> Event:
    """One event with telling values."""

    def value(field: str, hint: Any) -> Any:
        if typing.get_origin(hint) in (types.UnionType, typing.Union):
            hint = typing.get_args(hint)[0]
        if typing.get_origin(hint) is Literal:
            return typing.get_args(hint)[0]
        if typing.get_origin(hint) is tuple:
            return (f"{field}: Olá", "2")
        if isinstance(hint, type) and issubclass(hint, Enum):
            return list(hint)[2]
        simple = {
            str: f"{field}: Olá\n\0",
            bool: True,
            int: 42,
            float: 4.5,
            datetime: datetime(2026, 11, 24, 14, 3, 0, 250_000, UTC),
            msgspec.Raw: msgspec.Raw(b'{"conversation": "Ol\xc3\xa1"}'),
        }
        return simple[hint]

    hints = typing.get_type_hints(kind)
    return kind(**{name: value(name, hints[name]) for name in kind.__struct_fields__})
