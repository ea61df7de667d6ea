"""Holds what is known of one number against each other, from all sides: its callers, the network, the log, the webhook.

Pure: the journey asks again until nobody complains, or patience ends.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise, zip_longest
from typing import Any

from chatbot_erp.actors.instance import REFUSALS
from chatbot_erp.sandbox.client import InboxMessage, Taken

CERTAINLY_NOT_SENT = (404, 409, 422, 502, 503, 507)
UNKNOWN = "message.outcome_unknown"
WAYS = (["message.sent"], ["message.failed"], [UNKNOWN], [UNKNOWN, "message.sent"], [UNKNOWN, "message.failed"])
"""How a message that is accepted goes on: once, but for what turns out later."""

WINDOW_S = 5.0
LATE_S = 5.0
"""The network may notice an acknowledgement so long after the process that wrote it was killed, and so much later than
that of something that it had sent after it."""

DELIVERED, READ = (2, ""), (3, "read")
"""An ack and the type of the receipt that it is made of."""

ERROR = 0
"""The ack of what WhatsApp refused."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A message that was to be sent: to which number, and the answer (no status: the connection broke instead)."""

    to: str
    status: int | None
    message_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Books:
    """All that is known of one number. `killed` is when a process that carried it was ended by force."""

    number: str
    lost_at: float | None
    """When it was lost for good, if it was: what its companion had not taken by then, it never takes."""
    killed: Sequence[float]
    written: Iterable[str]
    """What others wrote to it."""
    asked: Mapping[str, Asked]
    """By text: what it was to send."""
    inbox: Sequence[InboxMessage]
    """Of its phone, and so what its companion was to get."""
    outbox: Sequence[InboxMessage]
    """What others got from it."""
    taken: Sequence[Taken]
    """What its companion has acknowledged."""
    log: Sequence[Any]
    told: Sequence[Any]
    """The payloads that the webhook has accepted, in order, repeats and all."""


def complaints(books: Books) -> list[str]:
    """What does not fit. In the end there must be none; before it something may still be on its way."""
    return [*of_webhooks(books), *of_what_was_received(books), *of_what_was_sent(books), *of_acks(books)]


def of_webhooks(books: Books) -> Iterator[str]:
    """The webhook has accepted each event that is to be told: all of them, in order, always in the same words."""
    first: dict[str, Any] = {}
    for payload in books.told:
        if first.setdefault(payload["id"], payload) != payload:
            yield f"delivery {payload['sequence']} was repeated in other words"
    told = [(payload["sequence"], payload["id"]) for payload in first.values()]
    numbered = [(event["sequence"], event["id"]) for event in books.log if event["sequence"] is not None]
    if [sequence for sequence, _ in numbered] != list(range(1, len(numbered) + 1)):
        yield "the deliveries in the log have gaps"
    for there, wanted in zip_longest(told, numbered):
        if there != wanted:
            yield f"{len(told)} of {len(numbered)} deliveries accepted: {there} where the log has {wanted}"
            break
    states = [payload["instance"] for payload in first.values() if payload["event"] == "instance.status"]
    for former, later in pairwise(states):
        if later["previous"] != former["status"]:
            yield f"the status went from {former['status']} to {later['status']}, once {later['previous']}"


def of_what_was_received(books: Books) -> Iterator[str]:
    """What others wrote is told, once each, word for word, in the order in which the network had it.

    What could not be read is told as such; a copy that can be comes later, out of turn, if it comes.
    """
    there = {message.id: message for message in books.inbox}
    if Counter(message.text for message in books.inbox) != Counter(books.written):
        yield "the network has other messages than were written"
    told = [payload for payload in once(books.told) if payload["event"] == "message.received"]
    for payload in told:
        message = there.get(payload["whatsapp"]["messageId"])
        text, sender = payload["message"]["text"], {payload["whatsapp"][key] for key in ("jid", "jidAlt")}
        if message is None or message.text != text:
            yield f"{text!r} was told, which nobody wrote so"
        elif f"{message.sender}@s.whatsapp.net" not in sender:
            yield f"{text!r} was told as coming from {sender}, not {message.sender}"
    ids = [payload["whatsapp"]["messageId"] for payload in told]
    yield from (
        f"{there[each].text!r} was told {n} times" for each, n in Counter(ids).items() if n > 1 and each in there
    )
    unreadable = {each["data"]["messageId"] for each in books.log if each["type"] == "message.undecryptable"}
    places = [there[each].index for each in ids if each in there and each not in unreadable]
    yield from (f"{books.inbox[b].text!r} was told after {books.inbox[a].text!r}" for a, b in pairwise(places) if b < a)
    excused = {*ids} | unreadable | lost_messages(books)
    yield from (f"{message.text!r} was lost" for message in books.inbox if message.id not in excused)


def of_what_was_sent(books: Books) -> Iterator[str]:
    """200: the one it was for has it, once. Refused: nobody has. Otherwise the log says, and it is there once at most."""
    texts = {
        each["data"]["commandId"]: each["data"]["text"] for each in books.log if each["type"] == "message.accepted"
    }
    steps: defaultdict[str, list[Any]] = defaultdict(list)
    for event in books.log:
        if (command := event["data"].get("commandId")) in texts:
            steps[texts[command]].append(event)
    sent = {message.text: message for message in books.outbox}
    yield from (f"{text!r} was sent {n} times" for text, n in Counter(m.text for m in books.outbox).items() if n > 1)
    yield from (f"nobody asked for {text!r}" for text in {*sent, *steps} if text not in books.asked)
    for text, asked in books.asked.items():
        kinds = [event["type"] for event in steps[text]]
        if kinds and (kinds[0] != "message.accepted" or kinds[1:] not in WAYS):
            yield f"{text!r} has no verdict, or more than one: {kinds}"
        else:
            yield from of_one_that_was_sent(text, asked, steps[text], sent.get(text))


def of_one_that_was_sent(text: str, asked: Asked, steps: list[Any], message: InboxMessage | None) -> Iterator[str]:
    """Its answer, its verdict and what the network has are one."""
    verdict = steps[-1] if steps else None
    fate = verdict["type"] if verdict else "not recorded"
    if asked.status not in (200, 504, None, *CERTAINLY_NOT_SENT):
        yield f"{text!r} was answered {asked.status}"
    if asked.status == 200 and fate != "message.sent":
        yield f"{text!r} was answered 200, but is {fate}"
    if asked.status in CERTAINLY_NOT_SENT and fate == "message.sent":
        yield f"{text!r} was answered {asked.status}, but is {fate}"
    if message is None:
        if fate == "message.sent":
            yield f"{text!r} is recorded as sent, but nobody has it"
        return
    if message.to != asked.to:
        yield f"{text!r} went to {message.to}, not {asked.to}"
    if fate in ("message.failed", "not recorded"):
        yield f"{text!r} is {fate}, but was sent"
    if verdict and fate == "message.sent" and verdict["data"]["messageId"] != message.id:
        yield f"{text!r} is recorded with another id than it has"
    if asked.status == 200 and asked.message_id != message.id:
        yield f"{text!r} was answered with another id than it has"


def of_acks(books: Books) -> Iterator[str]:
    """Of what was sent it is told that it was delivered, and that it was read, once each; an error of what failed."""
    told = Counter(
        (payload["whatsapp"]["messageId"], payload["ack"]["status"])
        for payload in once(books.told)
        if payload["event"] == "message.ack"
    )
    yield from (f"ack {ack} of {message_id} was told {n} times" for (message_id, ack), n in told.items() if n > 1)
    failed = {event["data"]["commandId"]: event["data"] for event in books.log if event["type"] == "message.failed"}
    sent = {message.id for message in books.outbox}
    yield from (
        f"ack {ack} of {message_id} was told, which never {'failed' if ack == ERROR else 'was sent'}"
        for message_id, ack in told
        if message_id not in (failed if ack == ERROR else sent)
    )
    yield from (
        f"ack {ERROR} of {command} was lost"
        for command, data in failed.items()
        if data["reason"] in REFUSALS and (command, ERROR) not in told
    )
    excused = lost_acks(books)
    yield from (
        f"ack {ack} of {event['data']['messageId']} ({event['data']['text']!r}) was lost"
        for event in books.log
        if event["type"] == "message.sent"
        for ack, _ in (DELIVERED, READ)
        if (key := (event["data"]["messageId"], ack)) not in told and key not in excused
    )


def lost_messages(books: Books) -> set[str]:
    """The ids of messages that may be missing, as one of two is proven by the network: the companion has not taken
    them when it is lost, and nothing that came after them; or a process that was killed had them in hand: it had got
    them, and acknowledged them within `WINDOW_S` before, or not yet.

    The library acknowledges before it hands over, and what it could not acknowledge any more it takes for a copy when it
    comes again (docs/guarantees.md). But it does so in order: of what such a process had, only the last can have been
    lost with it, not one before another that is told.
    """
    taken = {each.id: each for each in books.taken if each.tag == "message"}
    told = {payload["whatsapp"]["messageId"] for payload in books.told if payload["event"] == "message.received"}
    begun = end_begins(books)
    excused = {message.id for message in books.inbox if message.id not in taken and message.at > begun}
    for killed in books.killed:
        for message in reversed(books.inbox):
            each = taken.get(message.id)
            if each is None or each.offered > killed:
                continue
            if each.at < killed - WINDOW_S or (message.id in told and each.at <= killed):
                break
            excused.add(message.id)
    return excused


def end_begins(books: Books) -> float:
    """From when on a number that is lost for good may not have taken what came: never, if it is not lost.

    The network sends in order, and so the companion takes: what was there before something that it took, it took.
    """
    if books.lost_at is None:
        return math.inf
    surely = (each.offered for each in books.taken if each.at < books.lost_at - WINDOW_S)
    return max(surely, default=-math.inf) - LATE_S


def lost_acks(books: Books) -> set[tuple[str, int]]:
    """The acks that may be missing, for the same reasons. Receipts have no order that would say more."""
    begun = end_begins(books)
    taken = {(each.id, each.type): each.at for each in books.taken if each.tag == "receipt"}
    excused = set()
    for message in books.outbox:
        for ack, kind in (DELIVERED, READ):
            at = taken.get((message.id, kind))
            if message.at > begun if at is None else any(-LATE_S < killed - at < WINDOW_S for killed in books.killed):
                excused.add((message.id, ack))
    return excused


def once(told: Iterable[Any]) -> Iterable[Any]:
    """Without the repeats."""
    first: dict[str, Any] = {}
    for payload in told:
        first.setdefault(payload["id"], payload)
    return first.values()
