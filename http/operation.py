"""What a row of operations.py says, and the words and groups of problems that the rows share."""

from typing import Any

import msgspec

from chatbot_erp.actors import errors as e
from chatbot_erp.actors.api_keys import Scope
from chatbot_erp.eventstore import errors as store
from chatbot_erp.http import problems as p

OPEN, READ, SEND, MANAGE = None, Scope.READ, Scope.SEND, Scope.MANAGE
"""The words for what a call needs."""

INSTANCES, MESSAGES, PEOPLE, GROUPS = "Instances", "Messages", "People", "Groups"
DELIVERIES, HISTORY, SUBJECTS = "Deliveries", "History", "Data subjects"
MANAGER, SANDBOX = "Manager", "Sandbox"

TAGS = {
    INSTANCES: "An instance is one WhatsApp number.",
    MESSAGES: "What an instance sends. What it receives comes to its webhook; its files are fetched here.",
    PEOPLE: "Other people as an instance sees them, and what it shows of itself.",
    GROUPS: "The groups an instance is in. Writing to one is sending a message to its JID.",
    DELIVERIES: "How an instance's events get to its endpoints. The first one, `main`, is its webhookUrl.",
    HISTORY: "Everything that ever happened, and how things stood at any moment.",
    SUBJECTS: "The people whom the log is about: what it holds of them, and how they are forgotten.",
    MANAGER: "The manager itself.",
    SANDBOX: "Playing with the built-in WhatsApp network. These calls exist only where the manager runs on it.",
}


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """One method of one path. `answer` is a type for JSON, a list of media types for other things, None for no body."""

    method: str
    path: str
    scope: Scope | None
    """What a caller's key must allow; auth.py goes by it. OPEN: everybody gets the answer, also without a key."""
    tag: str
    summary: str
    status: int = 200
    answer: Any = None
    deferred: Any = None
    """What is answered, with 202, to a caller who prefers not to wait; None where that cannot be had."""
    body: Any = None
    """A type for JSON (or a union of them), or the media type of another thing."""
    needs_body: bool = True
    """Where there is one: whether it may not be left out."""
    takes_file: bool = False
    """Also as multipart/form-data, with a file."""
    parameters: tuple[str, ...] = ()
    problems: tuple[p.ProblemType, ...] = ()
    description: str = ""
    narrows: bool = False
    """Without an instance in its path or query, but looks itself at which instances the caller may reach."""
    is_private: bool = False
    """Left out of the document: a page for people."""


BODY = (p.MALFORMED_JSON, p.CONTENT_TOO_LARGE, p.UNSUPPORTED_MEDIA_TYPE, p.INVALID)
ONE = (p.OF_ERROR[e.InstanceNotFound],)
LATER = (
    p.OF_ERROR[e.Unavailable],
    p.OF_ERROR[store.StoreOverloaded],
    p.OF_ERROR[store.StoreUnavailable],
    p.OF_ERROR[store.StoreClosed],
    p.STORE_FULL,
)
KEYED = (p.BAD_IDEMPOTENCY_KEY, p.KEY_RUNNING, p.KEY_REUSED, p.OUTCOME_UNKNOWN, *LATER)
SENT = (
    *ONE,
    *KEYED,
    *(
        p.OF_ERROR[error]
        for error in (
            e.BadNumber,
            e.BadMessage,
            e.InstanceNotOperational,
            e.NotOnWhatsApp,
            e.WhatsAppRefused,
            e.ReachoutLocked,
            e.AddressingRejected,
            e.AskedTooMuch,
            e.SendingTooFast,
            store.NotStorable,
        )
    ),
)
"""What every send may come to."""

PAGE = ("after", "limit", "type")
