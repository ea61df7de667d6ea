"""Receipts that a companion sends, who is there, who types, who calls."""

from __future__ import annotations

import time
from typing import Any

import pytest


def test_a_companion_marks_what_it_got_as_read_and_played(shop: Any, maria: Any) -> None:
    sent = [maria.send(shop.phone.number, f"number {n}") for n in range(3)]
    shop.wait("message", id=sent[-1])
    shop.ask("mark_read", ids=sent, chat=f"{maria.lid}@lid", kind="read")
    for message_id in sent:
        assert maria.wait_receipt(message_id, as_="read").message_id == message_id
    shop.ask("mark_read", ids=sent[:1], chat=f"{maria.lid}@lid", kind="played")
    maria.wait_receipt(sent[0], as_="played")


def test_typing_and_recording_are_seen_on_both_sides(shop: Any, maria: Any) -> None:
    for wanted, state, media in (
        ("composing", "COMPOSING", "TEXT"),
        ("recording", "COMPOSING", "AUDIO"),
        ("paused", "PAUSED", "TEXT"),
    ):
        shop.ask("act", to=f"{maria.lid}@lid", activity=wanted)
        maria.wait_sign(shop.phone.number, wanted)
        maria.act(shop.phone.number, wanted)
        shop.wait("chat_presence", sender=maria.lid, state=state, media=media)


def test_a_companion_shows_itself_and_sees_others_come_and_go(shop: Any, maria: Any) -> None:
    maria.watch(shop.phone.number)
    maria.wait_sign(shop.phone.number, "unavailable")
    _show(shop, "available")
    maria.wait_sign(shop.phone.number, "available")
    shop.ask("watch", jid=f"{maria.lid}@lid")
    shop.wait("presence", sender=maria.lid, away=True)
    maria.show(True)
    shop.wait("presence", sender=maria.lid, away=False)
    before = shop.now()
    maria.show(False)
    assert shop.wait("presence", after=before, sender=maria.lid, away=True)["last_seen"] > 0
    _show(shop, "unavailable")
    maria.wait_sign(shop.phone.number, "unavailable")

    # Who is not there does not see who is.
    before = shop.now()
    maria.show(True)
    shop.wait("message", id=maria.send(shop.phone.number, "hello?"))
    with pytest.raises(TimeoutError):
        shop.wait("presence", after=before, timeout_s=0)


def _show(companion: Any, presence: str) -> None:
    """The library refuses until the phone's settings have come, which it says nowhere."""
    deadline = time.monotonic() + 60
    while True:
        try:
            companion.ask("show", presence=presence)
            return
        except RuntimeError as ex:
            if "PushName" not in str(ex) or time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def test_a_companion_that_leaves_is_no_longer_there(shop: Any, maria: Any) -> None:
    _show(shop, "available")
    maria.watch(shop.phone.number)
    maria.wait_sign(shop.phone.number, "available")
    shop.ask("stop")
    maria.wait_sign(shop.phone.number, "unavailable")


@pytest.mark.parametrize("video", [False, True])
def test_a_call_is_heard_and_can_be_refused(shop: Any, maria: Any, video: bool) -> None:
    call_id = maria.call(shop.phone.number, video=video)
    event = shop.wait("call", id=call_id)
    assert (event["sender"], event["creator"], event["kinds"]) == (
        maria.lid,
        maria.lid,
        ["audio", "video"] if video else ["audio"],
    )
    shop.ask("reject", caller=f"{maria.lid}@lid", call_id=call_id)
    assert maria.wait_sign(shop.phone.number, "rejected").call_id == call_id
    maria.hang_up(shop.phone.number, call_id, reason="timeout")
    assert shop.wait("hung_up", id=call_id)["reason"] == "timeout"
