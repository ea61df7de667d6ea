"""`Idempotency-Key`: a POST that is sent again is answered as the first time and never carried out twice.

The first request with a key claims a slot in the event store, durably, before anything is done. Then:

    first request …              the same request again gets        a different request gets
    still runs                   409, try again in a moment         422
    changed nothing (refused)    carried out: the slot is free      carried out
    did something, or may have   the first answer, byte by byte     422
    died with its process        504 outcome-unknown, for ever      422

A slot is settled for a success and for `final` problems (problems.py): WhatsApp refused it, the number is not there,
the outcome is unknown, the manager failed half-way. It is freed for all others (bad input, no such instance, not
connected, disk full, overloaded …): nothing happened, so the retry that the problem asks for must be able to succeed.

Credentials stay out of the store: a resource that answers with one conceals it and reveals it again (`Concealing`).
Answers may name people, so they are kept sealed with a key that is made of the caller's and the Idempotency-Key: only
who shows both can have them opened.
"""

import os
import re
from abc import ABC, abstractmethod
from collections.abc import Callable
from datetime import datetime
from hashlib import sha256
from threading import Lock

import structlog
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from chatbot_erp.eventstore.errors import StoreError
from chatbot_erp.eventstore.records import Answered, Claim, Claimed, Mismatched, Running
from chatbot_erp.eventstore.store import EventStore
from chatbot_erp.http.deferred import ACCEPTED, defer_again
from chatbot_erp.http.exchange import Request, Response
from chatbot_erp.http.problems import (
    BAD_IDEMPOTENCY_KEY,
    KEY_REUSED,
    KEY_RUNNING,
    MEDIA_TYPE,
    OUTCOME_UNKNOWN,
    RequestRefused,
    describe,
    encode,
)

NONCE = 12

_KEY = re.compile(r"[!-~]{1,255}")

log = structlog.get_logger()


class Concealing(ABC):
    """A resource whose successful answers hold a credential."""

    @abstractmethod
    def conceal(self, body: bytes, /) -> bytes:
        """What may be kept of the answer."""

    @abstractmethod
    def reveal(self, kept: bytes, /) -> bytes | None:
        """The answer again; None where it is forgotten, and then the request is carried out anew."""


class Spooling(ABC):
    """A resource whose requests may be too large for memory."""

    @abstractmethod
    def fingerprint(self, req: Request, /) -> bytes:
        """Take the body in; what makes it the same as another."""

    @abstractmethod
    def release(self, req: Request, /) -> None:
        """The request is answered: throw away what was taken in and not handed on."""


class Idempotency:
    """Innermost: sees a request when its route, its caller and its body are known."""

    def __init__(self, store: EventStore, now: Callable[[], datetime]) -> None:
        self._store = store
        self._now = now
        self._owner = store.company.life
        """This life of the process: a claim of one that has ended, and has no answer, will never get one."""
        self._unsaved: dict[str, Answered | None] = {}
        """What the disk refused to keep: the answer, or None for a slot to be freed. Saved when it is asked for, or one
        with each answer that the disk takes again.
        """
        self._lock = Lock()

    def process_resource(self, req: Request, resp: Response, resource: object, params: dict[str, str]) -> None:
        """Claim the request's slot, or answer as the first time. Raises `RequestRefused`."""
        key = req.get_header("Idempotency-Key")
        if req.method != "POST" or key is None:
            return
        if not _KEY.fullmatch(key):
            raise RequestRefused(BAD_IDEMPOTENCY_KEY)
        slot = digest(req.caller, req.uri_template or "", key)
        body = resource.fingerprint(req) if isinstance(resource, Spooling) else req.body()
        asked = digest(req.method, req.path, req.query_string or "", body)
        # Of the keys, too: else whoever has the file could try numbers and texts until one fits.
        fingerprint = digest("asked", req.caller, key, asked)
        claim = self._claim(slot, fingerprint, req)
        if isinstance(claim, Mismatched):
            claim = self._claim(slot, asked, req)  # as an earlier version kept it, for the two days that are left of it
        if isinstance(claim, Answered):
            answer = open_answer(req, slot, claim.body)
            if isinstance(resource, Concealing) and claim.status < 300:
                revealed = resource.reveal(answer)
                if revealed is None:
                    self._store.release(slot)
                    claim = self._claim(slot, fingerprint, req)
                else:
                    answer = revealed
            if isinstance(claim, Answered):
                replay(resp, claim, answer)
                return
        match claim:
            case Claimed():
                req.claim = slot
            case Mismatched():
                raise RequestRefused(KEY_REUSED)
            case Running():
                raise RequestRefused(KEY_RUNNING)

    def process_response(self, req: Request, resp: Response, resource: object, succeeded: bool) -> None:
        """Settle or free the slot of a request that was carried out."""
        if isinstance(resource, Spooling):
            resource.release(req)
        if req.claim is None:
            return
        kept: Answered | None = None
        if resp.problem is None or resp.problem.final:
            body = resp.data or b""
            if resp.problem is None and isinstance(resource, Concealing):
                body = resource.conceal(body)
            kept = Answered(resp.status_code, resp.content_type or "", seal_answer(req, req.claim, body))
        try:
            self._keep(req.claim, kept)
            self._catch_up()
        except StoreError as ex:
            # The answer is true all the same; who repeats the request is told it when the disk is well again.
            log.error("an answer is not kept", action="answer_not_kept", error=str(ex))

    def _claim(self, slot: str, fingerprint: str, req: Request) -> Claim:
        """The store's word on the slot, after saving what may be said of a first request that does not run."""
        claim = self._store.claim(slot, fingerprint, owner=self._owner, now=self._now())
        if not isinstance(claim, Running) or self._runs(claim, slot):
            return claim
        with self._lock:
            claim = self._store.claim(slot, fingerprint, owner=self._owner, now=self._now())
            if isinstance(claim, Running) and not self._runs(claim, slot):
                self._save(slot, self._unsaved[slot] if claim.owner == self._owner else unknown(req, slot))
                claim = self._store.claim(slot, fingerprint, owner=self._owner, now=self._now())
        return claim

    def _runs(self, claim: Running, slot: str) -> bool:
        """Whether somebody is still at it: this life, or another node's."""
        if claim.owner == self._owner:
            return slot not in self._unsaved
        return self._store.company.is_living(claim.owner)

    def _keep(self, slot: str, kept: Answered | None) -> None:
        """Save what was just answered, beside others who do, or note it for later. Raises `StoreError`."""
        try:
            self._write(slot, kept)
        except StoreError:
            with self._lock:
                self._unsaved[slot] = kept
            raise

    def _save(self, slot: str, kept: Answered | None) -> None:
        """Save what was not, under the lock; where it fails it stays noted. Raises `StoreError`."""
        self._unsaved[slot] = kept
        self._write(slot, kept)
        del self._unsaved[slot]

    def _write(self, slot: str, kept: Answered | None) -> None:
        if kept is None:
            self._store.release(slot)
        else:
            self._store.settle(slot, kept.status, kept.content_type, kept.body)

    def _catch_up(self) -> None:
        """Save what the disk refused first: who does not ask again would leave it in memory. Raises `StoreError`."""
        with self._lock:
            if (slot := next(iter(self._unsaved), None)) is not None:
                self._save(slot, self._unsaved[slot])


def digest(*parts: str | bytes) -> str:
    """A fingerprint of parts, in which none can pose as two."""
    whole = sha256()
    for part in parts:
        octets = part if isinstance(part, bytes) else part.encode()
        whole.update(len(octets).to_bytes(8) + octets)
    return whole.hexdigest()


def seal_answer(req: Request, slot: str, body: bytes) -> bytes:
    """An answer as it is kept: a nonce of 12 bytes and the AES-256-GCM of the body, bound to its slot."""
    nonce = os.urandom(NONCE)
    return nonce + _cipher(req).encrypt(nonce, body, slot.encode())


def open_answer(req: Request, slot: str, kept: bytes) -> bytes:
    """The body again, for who shows the same keys."""
    try:
        return _cipher(req).decrypt(kept[:NONCE], kept[NONCE:], slot.encode())
    except (InvalidTag, ValueError):
        return kept  # an earlier version kept it as it was, for the two days that are left of it


def _cipher(req: Request) -> AESGCM:
    keys = digest("answer", req.caller, req.get_header("Idempotency-Key", default=""))
    return AESGCM(bytes.fromhex(keys))


def unknown(req: Request, slot: str) -> Answered:
    """What can be said of a request whose process ended in the middle of it."""
    detail = "The manager was stopped while it carried this request out."
    body = encode(describe(OUTCOME_UNKNOWN, req.id, detail))
    return Answered(OUTCOME_UNKNOWN.status, MEDIA_TYPE, seal_answer(req, slot, body))


def replay(resp: Response, first: Answered, body: bytes) -> None:
    """Answer as the first time; the responder is not asked."""
    resp.status = first.status
    resp.content_type = first.content_type
    resp.data = body
    resp.set_header("Idempotent-Replay", "true")
    if first.status == ACCEPTED:
        defer_again(resp, body)
    resp.complete = True
