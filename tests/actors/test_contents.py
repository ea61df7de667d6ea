"""What a message can say comes through the log and the pipe as it was said."""

import types
import typing
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatbot_erp.actors.commands import SendMessage
from chatbot_erp.actors.contents import Image, Location, Part, Poll, Quote, Sendable, Text, join, split
from chatbot_erp.actors.effects import Transmit, follow_up
from chatbot_erp.actors.instance import decide
from chatbot_erp.eventstore.events import MessageAccepted
from instance_world import connected_state

QUOTE = Quote(message_id="3EB0", chat="551@s.whatsapp.net", sender="551@s.whatsapp.net", text="Oi")


def values(hint: Any) -> st.SearchStrategy[Any]:
    """Values of a field of a content."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Annotated:
        return values(arguments[0]).filter(lambda value: abs(value) <= 90)
    if origin in (types.UnionType, typing.Union):
        return st.one_of([values(each) for each in arguments])
    if origin is tuple:
        return st.lists(values(arguments[0]), max_size=3).map(tuple)
    if isinstance(hint, type) and issubclass(hint, Part):
        fields = typing.get_type_hints(hint, include_extras=True)
        return st.builds(hint, **{name: values(fields[name]) for name in hint.__struct_fields__})
    simple: dict[Any, st.SearchStrategy[Any]] = {
        str: st.text(),
        bool: st.booleans(),
        int: st.integers(0, 2**53),
        float: st.floats(-90, 90),
        type(None): st.none(),
    }
    return simple[hint]


@given(values(Sendable))
def test_every_content_comes_back_from_its_three_parts(content: Sendable) -> None:
    parts = split(content)
    assert join(parts.kind, parts.text, parts.content) == content
    assert isinstance(msgspec.json.decode(parts.content), dict)


def test_the_parts_read_alike_for_every_kind() -> None:
    parts = split(Image(text="Olha", mime_type="image/jpeg", size=3, quoting=QUOTE))
    assert (parts.kind, parts.text) == ("image", "Olha")
    assert msgspec.json.decode(parts.content) == {
        "mimeType": "image/jpeg",
        "size": 3,
        "quoted": {
            "messageId": "3EB0",
            "chat": "551@s.whatsapp.net",
            "sender": "551@s.whatsapp.net",
            "text": "Oi",
        },
    }


def test_a_text_has_nothing_but_its_words() -> None:
    assert bytes(split(Text(text="Olá")).content) == b"{}"


@pytest.mark.parametrize(("kind", "content"), [("nonsense", "{}"), ("location", "{}"), ("poll", '{"options":7}')])
def test_what_no_kind_says_is_refused(kind: str, content: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        join(kind, "", content)


@pytest.mark.parametrize(
    "content",
    [Text(text="Olá"), Poll(text="Quando?", options=("hoje", "amanhã")), Location(latitude=-1.45, longitude=-48.5)],
)
def test_what_is_accepted_is_what_is_transmitted(content: Sendable) -> None:
    state = connected_state()
    (accepted,) = decide(state, SendMessage(command_id="c1", number="551", content=content))
    assert isinstance(accepted, MessageAccepted)
    (effect,) = follow_up(accepted, state)
    assert isinstance(effect, Transmit)
    assert join(effect.parts.kind, effect.parts.text, effect.parts.content) == content
