"""What callers can ask about deliveries: settings, secrets, how it stands, tests, and to be told again.

Every method may be called from any thread, and raises `InstanceNotFound`, `EndpointNotFound` or a `StoreError`, and
`Unavailable` or `OutcomeUnknown` where it changes something.
"""

import re
from collections.abc import Callable, Collection, Iterator
from datetime import datetime, timedelta
from threading import Lock
from typing import Any
from uuid import uuid4
from weakref import WeakValueDictionary

import msgspec
from msgspec import UNSET, UnsetType

from chatbot_erp.actors.config import Config
from chatbot_erp.actors.directory import Directory
from chatbot_erp.actors.endpoint import (
    ConfigureEndpoint,
    DisableEndpoint,
    EnableEndpoint,
    Endpoint,
    NoteRotation,
    RemoveEndpoint,
    TellAgain,
    find,
)
from chatbot_erp.actors.errors import BadEndpoint, EndpointNotFound, NothingToDeliver
from chatbot_erp.actors.turnstile import Turnstile
from chatbot_erp.actors.webhook import NoAnswer, headers, new_secret, signing_key, without_own
from chatbot_erp.actors.webhook_address import Deny, check_url
from chatbot_erp.actors.webhook_backlog import attempt_of
from chatbot_erp.actors.webhook_credentials import Credentials
from chatbot_erp.actors.webhook_post import Postman
from chatbot_erp.actors.webhook_shape import WebhookInstance
from chatbot_erp.actors.webhook_shapes import KINDS, WebhookTest
from chatbot_erp.eventstore.deliveries import chat_of
from chatbot_erp.eventstore.events import EVENT_NAMES
from chatbot_erp.eventstore.store import (
    Attempt,
    DeadLetter,
    EventStore,
    Recorded,
    RecordedAttempt,
    Redelivery,
    Standing,
)
from chatbot_erp.eventstore.vault import Vault

ENDPOINT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,31}")
HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}")
HEADER_VALUE = re.compile(r"[ -~]{0,4096}")
MOST_HEADERS = 20
RESERVED = re.compile(
    r"webhook-.*|x-instance-.*|content-.*|host|user-agent|connection|transfer-encoding|expect|te|trailer|upgrade|via"
    r"|keep-alive|proxy-.*|accept-encoding",
    re.IGNORECASE,
)
"""What HTTP and the delivery itself say in headers."""

LONGEST_RETRY_FOR_S = 30 * 86_400.0
LONGEST_OVERLAP_S = 30 * 86_400.0
MOST_AGAIN = 10_000
"""Events that one call has told again; the answer says where to go on."""

ATTEMPTS_SHOWN = 20
CLOCK_SLACK = timedelta(minutes=1)
"""Positions are in the order of commits, which is nearly that of the clock."""

PAGE = 1000

TRIALS_AT_ONCE = 8
"""Of all endpoints: each holds a caller's thread for as long as its receiver takes, up to the timeout."""


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """How the deliveries to an endpoint stand."""

    endpoint: Endpoint
    endpoints: tuple[str, ...]
    standing: Standing
    oldest: Recorded | None
    attempts: tuple[RecordedAttempt, ...]


class Again(msgspec.Struct, frozen=True, kw_only=True):
    """So many events are told again; `next` is the position to go on after, None where that was all."""

    queued: int
    next: int | None


class WebhookControl:
    """`ask` has an instance's actor carry out a command."""

    def __init__(
        self,
        store: EventStore,
        vault: Vault,
        directory: Directory,
        config: Config,
        now: Callable[[], datetime],
        ask: Callable[[str, Any], Any],
    ) -> None:
        self._store = store
        self._vault = vault
        self._directory = directory
        self._config = config
        self._now = now
        self._ask = ask
        self._guard = Lock()
        self._trials = Turnstile(
            most=TRIALS_AT_ONCE, most_of_one=1, refusal="A test is under way already: wait for its answer."
        )
        self._turns: WeakValueDictionary[tuple[str, str], Lock] = WeakValueDictionary()

    def look(self, name: str, endpoint: str) -> Look:
        """Settings, backlog and last attempts."""
        instance, present = self._find(name, endpoint)
        standing = self._store.standing(instance, endpoint)
        oldest = self._store.deliveries(instance, endpoint, limit=1)
        return Look(
            endpoint=present,
            endpoints=tuple(each.id for each in self._directory.endpoints(instance)),
            standing=standing,
            oldest=oldest[0].record if oldest else None,
            attempts=tuple(self._store.attempts(instance, endpoint, limit=ATTEMPTS_SHOWN)),
        )

    def configure(
        self, name: str, wanted: ConfigureEndpoint, header_values: dict[str, str] | UnsetType = UNSET
    ) -> str | None:
        """Change settings; the secret of an endpoint that is made by it. Raises `BadEndpoint`, `BadWebhookUrl`."""
        check(wanted, self._config)
        if header_values is not UNSET:
            check_headers(header_values)
        instance = self._directory.find(name).id
        credentials = Credentials(self._vault, instance, wanted.endpoint)
        secret: str | None = None
        with self._turn(instance, wanted.endpoint), credentials.taken_back_if_refused():
            if find(self._directory.endpoints(instance), wanted.endpoint) is None:
                if wanted.url is UNSET:
                    raise EndpointNotFound(f"There is no endpoint {wanted.endpoint!r}; a new one needs a url.")
                secret = credentials.make()
                header_values = {} if header_values is UNSET else header_values
            if header_values is not UNSET:
                credentials.keep_headers(header_values)
                wanted = msgspec.structs.replace(wanted, headers=tuple(sorted(header_values)))
            self._ask(name, wanted)
        return secret

    def remove(self, name: str, endpoint: str) -> None:
        """End an endpoint, with all that waits for it. Raises `BadEndpoint` for the first one."""
        instance, _ = self._find(name, endpoint)
        with self._turn(instance, endpoint):
            self._ask(name, RemoveEndpoint(endpoint=endpoint))
            Credentials(self._vault, instance, endpoint).forget()

    def enable(self, name: str, endpoint: str) -> None:
        """Go on where it stopped, and try what failed at once."""
        self._ask(name, EnableEndpoint(endpoint=endpoint))

    def disable(self, name: str, endpoint: str) -> None:
        """Post nothing until it is enabled; what happens meanwhile waits."""
        self._ask(name, DisableEndpoint(endpoint=endpoint, reason="requested"))

    def rotate(self, name: str, endpoint: str, secret: str | None, overlap_s: float) -> tuple[str, datetime]:
        """Sign with a new secret (one of one's own, or a fresh one), and for a while with the old one too."""
        instance, _ = self._find(name, endpoint)
        if not 0 <= overlap_s <= LONGEST_OVERLAP_S:
            raise BadEndpoint(f"The old secret can go on for up to {LONGEST_OVERLAP_S:.0f} seconds.")
        fresh, until = secret or new_secret(), self._now() + timedelta(seconds=overlap_s)
        try:
            signing_key(fresh)
        except ValueError as ex:
            raise BadEndpoint(str(ex)) from None
        credentials = Credentials(self._vault, instance, endpoint)
        with self._turn(instance, endpoint), credentials.taken_back_if_refused():
            credentials.rotate(fresh, until)
            self._ask(name, NoteRotation(endpoint=endpoint, old_until=until))
        return fresh, until

    def secret(self, instance: str, endpoint: str) -> str | None:
        """The signing secret, for an answer that must be repeated as it was."""
        return Credentials(self._vault, instance, endpoint).secret()

    def test(self, name: str, endpoint: str) -> Attempt:
        """Post a test event at once, past all that waits, and say what came of it. It is not kept.

        Raises `Unavailable` where one of this endpoint is under way, or many of others: receivers that hang must not
        take all callers' threads.
        """
        instance, present = self._find(name, endpoint)
        with self._trials.passed(f"{instance} {endpoint}"):
            return self._test(instance, name, present)

    def _test(self, instance: str, name: str, present: Endpoint) -> Attempt:
        at, event_id = self._now(), str(uuid4())
        keys = Credentials(self._vault, instance, present.id).keys()
        if not keys.at(at):
            return attempt_of(at, NoAnswer(error="no_secret", detail="", address="", duration_ms=0))
        whose = WebhookInstance(id=instance, name=name)
        content = msgspec.json.encode(WebhookTest(id=event_id, timestamp=at, instance=whose))
        signed = headers(
            content, event_id=event_id, at=at, keys=keys.at(at), instance=instance, name=name, own=keys.headers
        )
        config = self._config
        postman = Postman(timeout_s=config.webhook_timeout_s, deny=Deny.of(config.webhook_deny))
        try:
            return attempt_of(at, without_own(postman.post(present.url, content, signed), keys.headers))
        finally:
            postman.close()

    def replay(
        self,
        name: str,
        endpoint: str,
        *,
        after: int,
        until: int | None,
        since: datetime | None,
        before: datetime | None,
        kinds: Collection[str],
    ) -> Again:
        """Have events told again, with their old ids: those in a range of positions and of times, of these kinds.

        No `kinds` is those that the endpoint wants anyway. Raises `BadEndpoint`, `NothingToDeliver`.
        """
        instance, present = self._find(name, endpoint)
        check_kinds(kinds)
        kinds = tuple(sorted(kinds or present.events))
        begin = max(after, self._position_before(since)) if since else after
        found: list[Recorded] = []
        for record in self._told(instance, kinds, begin, until):
            if before is not None and record.recorded_at - CLOCK_SLACK > before:
                break
            if (since is None or record.recorded_at >= since) and (before is None or record.recorded_at <= before):
                found.append(record)
                if len(found) > MOST_AGAIN:
                    break
        if not found:
            raise NothingToDeliver("Nothing of this kind happened in this range.")
        now, rest = found[:MOST_AGAIN], found[MOST_AGAIN:]
        again = tuple(redelivery(endpoint, instance, record) for record in now)
        last = now[-1].position
        self._ask(
            name,
            TellAgain(
                endpoint=endpoint, after=now[0].position - 1, until=last, events=kinds, dead=False, deliveries=again
            ),
        )
        return Again(queued=len(again), next=last if rest else None)

    def resend(self, name: str, endpoint: str, position: int) -> Again:
        """Have one event told again, with its old id, whatever the filter. Raises `NothingToDeliver`."""
        instance, _ = self._find(name, endpoint)
        found = self._store.read(stream=instance, after=position - 1, until=position, limit=1)
        if not found or found[0].sequence is None or found[0].erased:
            raise NothingToDeliver(f"At position {position} stands nothing that this instance tells.")
        again = (redelivery(endpoint, instance, found[0]),)
        self._ask(
            name,
            TellAgain(endpoint=endpoint, after=position - 1, until=position, events=(), dead=False, deliveries=again),
        )
        return Again(queued=1, next=None)

    def dead_letters(self, name: str, endpoint: str, *, after: int, limit: int) -> list[DeadLetter]:
        """What was given up, by position."""
        instance, _ = self._find(name, endpoint)
        return self._store.dead_letters(instance, endpoint, after=after, limit=limit)

    def redrive(self, name: str, endpoint: str, *, positions: Collection[int] | None, after: int) -> Again:
        """Have dead letters behind a position told again: these, or all. Raises `NothingToDeliver`."""
        instance, _ = self._find(name, endpoint)
        if positions is None:
            letters = self._store.dead_letters(instance, endpoint, after=after, limit=MOST_AGAIN + 1)
        else:
            # Each by itself: before it may stand any number of others.
            letters = [
                letter
                for position in sorted(set(positions))
                if position > after
                for letter in self._store.dead_letters(instance, endpoint, after=position - 1, limit=1)
                if letter.position == position
            ]
        if not letters:
            raise NothingToDeliver("There are no such dead letters.")
        now, rest = letters[:MOST_AGAIN], letters[MOST_AGAIN:]
        again = tuple(
            Redelivery(endpoint=endpoint, sequence=each.sequence, position=each.position, chat=each.chat)
            for each in now
        )
        first, last = now[0].position, now[-1].position
        self._ask(
            name,
            TellAgain(endpoint=endpoint, after=first - 1, until=last, events=(), dead=True, deliveries=again),
        )
        return Again(queued=len(again), next=last if rest else None)

    def _turn(self, instance: str, endpoint: str) -> Lock:
        """One change at a time of what is secret about an endpoint and of what the log says of it.

        It is there for as long as somebody has it or waits for it.
        """
        with self._guard:
            return self._turns.setdefault((instance, endpoint), Lock())

    def _find(self, name: str, endpoint: str) -> tuple[str, Endpoint]:
        instance = self._directory.find(name).id
        present = find(self._directory.endpoints(instance), endpoint)
        if present is None:
            raise EndpointNotFound(f"{name} has no endpoint {endpoint!r}.")
        return instance, present

    def _told(self, instance: str, kinds: Collection[str], after: int, until: int | None) -> Iterator[Recorded]:
        """What the instance had to tell, by position; what was erased since is told nobody."""
        types = {EVENT_NAMES[event] for event, kind in KINDS.items() if not kinds or kind in kinds}
        while page := self._store.read(stream=instance, types=types, after=after, until=until, limit=PAGE):
            yield from (record for record in page if record.sequence is not None and not record.erased)
            after = page[-1].position

    def _position_before(self, moment: datetime) -> int:
        """A position up to which all was recorded before a moment, as far as the log is in the order of its clock."""
        low, high = 0, self._store.head()
        while low < high:
            middle = (low + high + 1) // 2
            if self._store.read(after=middle - 1, limit=1)[0].recorded_at + CLOCK_SLACK < moment:
                low = middle
            else:
                high = middle - 1
        return low


def redelivery(endpoint: str, instance: str, record: Recorded) -> Redelivery:
    assert record.sequence is not None, "only what is told has one"
    return Redelivery(
        endpoint=endpoint,
        sequence=record.sequence,
        position=record.position,
        chat=chat_of(instance, record.event),
    )


def check(wanted: ConfigureEndpoint, config: Config) -> None:
    """Raise `BadEndpoint` or `BadWebhookUrl` for settings that no endpoint can have."""
    if not ENDPOINT.fullmatch(wanted.endpoint):
        raise BadEndpoint("An endpoint's id is 1 to 32 letters, digits, '-' or '_', beginning with a letter or digit.")
    if wanted.url is not UNSET:
        check_url(wanted.url, config.webhook_deny)
    if wanted.events is not UNSET:
        check_kinds(wanted.events)
    if isinstance(wanted.retry_for_s, int | float) and not 0 <= wanted.retry_for_s <= LONGEST_RETRY_FOR_S:
        raise BadEndpoint(f"An event can be retried for up to {LONGEST_RETRY_FOR_S:.0f} seconds.")
    if wanted.reject_after_s is not UNSET and not 0 <= wanted.reject_after_s <= LONGEST_RETRY_FOR_S:
        raise BadEndpoint(f"A rejected event can be retried for up to {LONGEST_RETRY_FOR_S:.0f} seconds.")


def check_kinds(kinds: Collection[str]) -> None:
    """Raise `BadEndpoint` for a kind of event that there is not."""
    known = sorted(set(KINDS.values()))
    if not set(kinds) <= set(known):
        raise BadEndpoint(f"The events are {', '.join(known)}.")


def check_headers(values: dict[str, str]) -> None:
    """Raise `BadEndpoint` for headers that cannot be sent along. No value is repeated."""
    if len(values) > MOST_HEADERS:
        raise BadEndpoint(f"Up to {MOST_HEADERS} headers can be sent along.")
    if len({name.lower() for name in values}) < len(values):
        raise BadEndpoint("A header stands there twice.")
    for name, value in values.items():
        if not HEADER.fullmatch(name) or RESERVED.fullmatch(name):
            raise BadEndpoint(f"{name[:64]!r} is no header that can be chosen.")
        if not HEADER_VALUE.fullmatch(value):
            raise BadEndpoint(f"The value of {name} is not up to 4096 visible ASCII characters.")
