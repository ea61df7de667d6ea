"""Who has WhatsApp open, and who types, as observations; only of those that somebody wants to hear about.

By shape, as wa_message.py: this file needs no neonize. Known of it: what it says of somebody is addressed as WhatsApp
likes, by number or LID, and typing is told of everybody in every chat while this number is shown as available.
"""

import threading
from datetime import UTC, datetime
from typing import Any

from chatbot_erp.actors.people_frames import SocketSawPresence
from chatbot_erp.actors.questions import Known
from chatbot_erp.actors.wa_message import jid_text
from chatbot_erp.eventstore.events import PresenceChanged, PresenceState

Protobuf = Any

_PAUSED = 2
"""`ChatPresence.State`; 1 is composing."""
_AUDIO = 2
"""`ChatPresence.Media`; 1 is text."""


class Watched:
    """Whom somebody wants to hear about, by each of their addresses. Any thread may call it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[str, Known] = {}

    def add(self, person: Known) -> None:
        with self._lock:
            for address in filter(None, (person.jid, person.lid)):
                self._known[address] = person

    def forget(self) -> None:
        """WhatsApp has, too: the connection is another."""
        with self._lock:
            self._known.clear()

    def presence(self, event: Protobuf) -> SocketSawPresence | None:
        """Somebody has WhatsApp open now, or has it no more."""
        last_seen = datetime.fromtimestamp(event.LastSeen, UTC) if event.LastSeen > 0 else None
        return self._seen(jid_text(event.From), "unavailable" if event.Unavailable else "available", last_seen)

    def activity(self, event: Protobuf) -> SocketSawPresence | None:
        """Somebody types, records or has stopped, in a chat with this number alone."""
        source = event.MessageSource
        if source.IsGroup:
            return None
        if event.State == _PAUSED:
            return self._seen(jid_text(source.Sender), "paused", None)
        return self._seen(jid_text(source.Sender), "recording" if event.Media == _AUDIO else "typing", None)

    def _seen(self, address: str | None, state: PresenceState, last_seen: datetime | None) -> SocketSawPresence | None:
        with self._lock:
            person = self._known.get(address or "")
        if address is None or person is None:
            return None
        other = person.lid if address == person.jid else person.jid
        return SocketSawPresence(changed=PresenceChanged(jid=address, jid_alt=other, state=state, last_seen=last_seen))
