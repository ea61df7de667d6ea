"""The chaos journey is worth what its accounts see: here each loss that they must see is made in books that are clean."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from chaos_accounts import Asked, Books, complaints
from chatbot_erp.sandbox.client import InboxMessage, Taken
from chatbot_erp.sandbox.contents import Content

SHOP, MARIA = "5511900000001", "5521900000001"
T0 = 1_000_000.0

Change = Callable[[Books], Books]


def message(index: int, sender: str, to: str, text: str) -> InboxMessage:
    return InboxMessage(
        index=index,
        id=f"{sender}-{index}",
        sender=sender,
        to=to,
        text=text,
        at=T0 + index,
        sender_jid="1@lid",
        content=Content(kind="text", text=text),
        raw=b"",
    )


INBOX = [message(index, MARIA, SHOP, f"para {index}") for index in range(4)]
OUTBOX = [message(index, SHOP, MARIA, f"diz {index}") for index in range(3)]


def clean() -> Books:
    """Four messages came, three were sent, a fourth was refused, and of a fifth nobody knows; all of it was told."""
    log: list[Any] = []
    told: list[Any] = []

    def happen(kind: str, payload: dict[str, Any] | None = None, **data: Any) -> None:
        sequence = len(told) + 1 if payload is not None else None
        log.append({"id": f"e{len(log)}", "sequence": sequence, "type": kind, "data": data})
        if payload is not None:
            told.append({"id": log[-1]["id"], "sequence": sequence, "event": kind, **payload})

    def status(former: str, now: str) -> None:
        happen("instance.status", {"instance": {"previous": former, "status": now}})

    status("INITIALIZING", "CONNECTED")
    for each in INBOX:
        head = {"jid": "1@lid", "jidAlt": f"{MARIA}@s.whatsapp.net", "messageId": each.id}
        happen("message.received", {"whatsapp": head, "message": {"text": each.text}})
    for each in OUTBOX:
        happen("message.accepted", commandId=each.text, text=each.text)
        happen("message.sent", {"whatsapp": {}}, commandId=each.text, text=each.text, messageId=each.id)
        for ack in (2, 3):
            happen("message.ack", {"whatsapp": {"messageId": each.id}, "ack": {"status": ack}})
    for text, verdict, why in (
        ("refused", "message.failed", "refused"),
        ("unknown", "message.outcome_unknown", "host_died"),
    ):
        happen("message.accepted", commandId=text, text=text)
        happen(verdict, commandId=text, reason=why)
    happen("message.ack", {"whatsapp": {"messageId": "refused"}, "ack": {"status": 0}})
    status("CONNECTED", "DISCONNECTED")
    asked = {each.text: Asked(MARIA, 200, each.id) for each in OUTBOX}
    receipts = [("receipt", each.id, kind) for each in OUTBOX for kind in ("", "read")]
    stanzas = [*(("message", each.id, "text") for each in INBOX), *receipts]
    return Books(
        number=SHOP,
        lost_at=None,
        killed=(),
        written=[each.text for each in INBOX],
        asked={**asked, "refused": Asked(MARIA, 502), "unknown": Asked(MARIA, 504), "away": Asked(MARIA, 409)},
        inbox=INBOX,
        outbox=OUTBOX,
        taken=[
            Taken(tag=tag, id=name, type=kind, at=T0 + place, offered=T0 + place - 0.2)
            for place, (tag, name, kind) in enumerate(stanzas)
        ],
        log=log,
        told=told,
    )


def without(books: Books, kind: str, place: int = 0, *, recorded: bool = True) -> Books:
    """The webhook was not told of it; `recorded`: nor is it in the log, and what follows is numbered without it."""
    gone = [each for each in books.told if each["event"] == kind][place]
    told = [each for each in books.told if each is not gone]
    if not recorded:
        return replace(books, told=told)
    log = [event for event in books.log if event["id"] != gone["id"]]
    later = {each["id"]: each["sequence"] - (each["sequence"] > gone["sequence"]) for each in told}
    return replace(
        books,
        told=[{**each, "sequence": later[each["id"]]} for each in told],
        log=[{**event, "sequence": later.get(event["id"])} for event in log],
    )


def swapped(books: Books, one: int, other: int) -> Books:
    told = [*books.told]
    told[one], told[other] = told[other], told[one]
    return replace(books, told=told)


def twice(books: Books, kind: str) -> Books:
    """It is recorded once more, under another id, and told at the end."""
    (first, *_) = (each for each in books.told if each["event"] == kind)
    again = {**first, "id": "again", "sequence": len(books.told) + 1}
    event = {"id": "again", "sequence": again["sequence"], "type": kind, "data": {}}
    return replace(books, told=[*books.told, again], log=[*books.log, event])


def retold(books: Books, place: int, **changes: Any) -> Books:
    return replace(books, told=[*books.told, {**books.told[place], **changes}])


def answered(books: Books, text: str, asked: Asked) -> Books:
    return replace(books, asked={**books.asked, text: asked})


def sent(books: Books, text: str, to: str = MARIA) -> Books:
    return replace(books, outbox=[*books.outbox, message(len(books.outbox), SHOP, to, text)])


def changed(books: Books, kind: str, **data: Any) -> Books:
    """The first event of this kind in the log says something else."""
    (place, *_) = (place for place, event in enumerate(books.log) if event["type"] == kind)
    log = [*books.log]
    log[place] = {**log[place], "data": {**log[place]["data"], **data}}
    return replace(books, log=log)


def test_clean_books_are_clean() -> None:
    assert complaints(clean()) == []


def test_a_repeat_in_the_same_words_is_no_fault() -> None:
    assert complaints(retold(clean(), 3)) == []


def test_what_turns_out_later_is_no_second_verdict() -> None:
    books = clean()
    data = {"commandId": "unknown", "reason": "not_connected"}
    failed = {"id": "late", "sequence": None, "type": "message.failed", "data": data}
    assert complaints(replace(books, log=[*books.log, failed])) == []


def test_what_could_not_be_read_may_come_later_or_not_at_all() -> None:
    told = {"id": "u", "sequence": None, "type": "message.undecryptable", "data": {"messageId": INBOX[1].id}}
    books = without(clean(), "message.received", 1)
    assert complaints(replace(books, log=[*books.log, told])) == []


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        (lambda books: without(books, "message.received", 1), "'para 1' was lost"),
        (lambda books: without(books, "message.received", 3), "'para 3' was lost"),
        (lambda books: without(books, "message.received", 1, recorded=False), "15 of 16"),
        (lambda books: without(books, "instance.status", 1, recorded=False), "15 of 16"),
        (lambda books: without(books, "message.sent", recorded=False), "15 of 16"),
        (lambda books: without(books, "message.ack", 0), "ack 2 of"),
        (lambda books: without(books, "message.ack", 5), "ack 3 of"),
        (lambda books: without(books, "message.ack", 6), "ack 0 of refused was lost"),
        (
            lambda books: changed(books, "message.failed", commandId="x"),
            "ack 0 of refused was told, which never failed",
        ),
        (lambda books: swapped(books, 2, 3), "16 of 16"),
        (lambda books: swapped(books, 2, 3), "'para 1' was told after 'para 2'"),
        (lambda books: twice(books, "message.received"), "'para 0' was told 2 times"),
        (lambda books: twice(books, "message.ack"), "was told 2 times"),
        (lambda books: twice(books, "instance.status"), "the status went from"),
        (lambda books: retold(books, 2, message={"text": "other"}), "in other words"),
        (lambda books: replace(books, written=[*books.written, "more"]), "other messages than were written"),
        (lambda books: sent(books, "diz 0"), "'diz 0' was sent 2 times"),
        (lambda books: sent(books, "refused"), "'refused' is message.failed, but was sent"),
        (lambda books: sent(books, "away"), "'away' is not recorded, but was sent"),
        (lambda books: sent(books, "ghost"), "nobody asked for 'ghost'"),
        (lambda books: sent(answered(books, "unknown", Asked("9", 504)), "unknown"), "went to"),
        (lambda books: replace(books, outbox=books.outbox[1:]), "'diz 0' is recorded as sent, but nobody has it"),
        (lambda books: answered(books, "refused", Asked(MARIA, 200, "x")), "'refused' was answered 200"),
        (lambda books: answered(books, "diz 1", Asked(MARIA, 409)), "'diz 1' was answered 409"),
        (lambda books: answered(books, "diz 1", Asked(MARIA, 200, "x")), "answered with another id"),
        (lambda books: answered(books, "away", Asked(MARIA, 500)), "answered 500"),
        (lambda books: changed(books, "message.sent", messageId="x"), "recorded with another id"),
        (lambda books: changed(books, "message.sent", commandId="diz 1"), "no verdict, or more than one"),
    ],
)
def test_what_is_wrong_is_complained_of(spoil: Change, complaint: str) -> None:
    found = complaints(spoil(clean()))
    assert [each for each in found if complaint in each], found


def killed(at: float, *lost: int) -> Books:
    """Books of a number whose process was killed then, and that lacks these of its messages."""
    books = replace(clean(), killed=[T0 + at])
    for place in sorted(lost, reverse=True):
        books = without(books, "message.received", place)
    return books


def test_the_last_that_a_killed_process_took_may_be_missing() -> None:
    assert complaints(killed(3.5, 3)) == []
    assert complaints(killed(3.5, 2, 3)) == []


def test_what_a_killed_process_had_got_and_not_yet_acknowledged_may_be_missing() -> None:
    assert complaints(killed(2.9, 3)) == []


def test_what_came_to_the_process_after_it_may_not_be_missing() -> None:
    assert complaints(killed(2.5, 3)) == ["'para 3' was lost"]


def test_what_a_killed_process_took_before_something_that_is_told_may_not_be_missing() -> None:
    assert complaints(killed(3.5, 2)) == ["'para 2' was lost"]


def test_what_was_taken_long_before_the_kill_may_not_be_missing() -> None:
    assert complaints(killed(30, 3)) == ["'para 3' was lost"]


def test_what_a_number_that_is_lost_for_good_never_took_may_be_missing() -> None:
    books = without(clean(), "message.received", 3)
    untaken = replace(books, taken=[each for each in books.taken if each.id != INBOX[3].id])
    assert complaints(untaken) == ["'para 3' was lost"]
    assert complaints(replace(untaken, lost_at=T0 + 4)) == []
    assert complaints(replace(books, lost_at=T0 + 4)) == ["'para 3' was lost"]


def test_what_a_number_left_before_something_that_it_took_long_before_it_was_lost_may_not_be_missing() -> None:
    books = without(clean(), "message.received", 0)
    untaken = replace(books, taken=[each for each in books.taken if each.id != INBOX[0].id])
    assert complaints(replace(untaken, lost_at=T0 + 10)) == []
    assert complaints(replace(untaken, lost_at=T0 + 30)) == ["'para 0' was lost"]


def test_an_ack_that_a_number_left_long_before_it_was_lost_may_not_be_missing() -> None:
    books = without(clean(), "message.ack", 0)
    untaken = replace(books, taken=[each for each in books.taken if (each.id, each.type) != (OUTBOX[0].id, "")])
    assert complaints(replace(untaken, lost_at=T0 + 10)) == []
    assert len(complaints(replace(untaken, lost_at=T0 + 30))) == 1


def test_an_ack_that_a_killed_process_took_may_be_missing() -> None:
    books = without(clean(), "message.ack", 5)
    taken_at = books.taken[-1].at
    assert complaints(replace(books, killed=[taken_at + 1])) == []
    assert len(complaints(replace(books, killed=[taken_at + 30]))) == 1
