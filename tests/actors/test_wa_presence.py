"""Who is there and who types, by the shape of neonize's protobufs: only of those who are watched."""

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from chatbot_erp.actors.questions import Known
from chatbot_erp.actors.wa_presence import Watched

MARIA = Known(number="7@lid", jid="5511@s.whatsapp.net", lid="7@lid")


def jid(text: str) -> Any:
    user, _, server = text.partition("@")
    return SimpleNamespace(User=user, Server=server)


def presence(who: str, *, away: bool = False, last_seen: int = 0) -> Any:
    return SimpleNamespace(From=jid(who), Unavailable=away, LastSeen=last_seen)


def activity(who: str, state: int, media: int = 1, *, group: bool = False) -> Any:
    return SimpleNamespace(MessageSource=SimpleNamespace(Sender=jid(who), IsGroup=group), State=state, Media=media)


@pytest.fixture
def watched() -> Watched:
    watched = Watched()
    watched.add(MARIA)
    return watched


@pytest.mark.parametrize(("address", "other"), [("7@lid", "5511@s.whatsapp.net"), ("5511@s.whatsapp.net", "7@lid")])
def test_somebody_is_known_by_both_addresses(watched: Watched, address: str, other: str) -> None:
    seen = watched.presence(presence(address))
    assert seen is not None
    assert (seen.changed.jid, seen.changed.jid_alt, seen.changed.state) == (address, other, "available")


def test_who_goes_was_seen_at_a_time_if_they_show_it(watched: Watched) -> None:
    shown, hidden = (watched.presence(presence("7@lid", away=True, last_seen=at)) for at in (1_700_000_000, 0))
    assert shown is not None
    assert hidden is not None
    assert (shown.changed.state, shown.changed.last_seen) == ("unavailable", datetime.fromtimestamp(1_700_000_000, UTC))
    assert hidden.changed.last_seen is None


@pytest.mark.parametrize(("state", "media", "word"), [(1, 1, "typing"), (1, 2, "recording"), (2, 1, "paused")])
def test_what_somebody_does_has_a_word(watched: Watched, state: int, media: int, word: str) -> None:
    seen = watched.activity(activity("7@lid", state, media))
    assert seen is not None
    assert seen.changed.state == word


def test_nobody_else_is_told_of(watched: Watched) -> None:
    assert watched.presence(presence("8@lid")) is None
    assert watched.activity(activity("8@lid", 1)) is None
    assert watched.activity(activity("7@lid", 1, group=True)) is None
    watched.forget()
    assert watched.presence(presence("7@lid")) is None
