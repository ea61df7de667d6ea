"""What an instance has just put on record, as its endpoints are handed it: the log need not be read for it again.

An endpoint that knows all there was before takes it from memory; any other reads the log, where it is as well. Reading,
decrypting and decoding each event anew for its delivery was a sixth of the manager's CPU.
"""

from collections.abc import Sequence

import msgspec

from chatbot_erp.actors.journal import Written
from chatbot_erp.eventstore.deliveries import chat_of
from chatbot_erp.eventstore.records import Delivery

AT_HAND = 64
"""More at a time are read from the log: a slow receiver must not fill the memory."""


class News(msgspec.Struct, frozen=True):
    """All that one endpoint is to be told of an instance's sequence numbers behind `after`, up to `until`."""

    after: int
    until: int
    losses: int
    """The store's, before it was appended: with others, something of it may be erased by now."""
    deliveries: tuple[Delivery, ...]

    def joined(self, later: "News") -> "News | None":
        """Both as one, where one follows the other."""
        deliveries = (*self.deliveries, *later.deliveries)
        if later.after != self.until or later.losses != self.losses or len(deliveries) > AT_HAND:
            return None
        return News(self.after, later.until, self.losses, deliveries)


class Bulletin:
    """What an append of an instance had to tell, for all of its endpoints. `written` are events with a sequence number."""

    def __init__(self, written: Sequence[Written], losses: int) -> None:
        records = [each.record for each in written]
        sequences = [record.sequence for record in records if record.sequence is not None]
        self._after, self._until, self._losses = sequences[0] - 1, sequences[-1], losses
        self._told = [
            (
                each.recipients,
                Delivery(
                    sequence=sequence,
                    chat=chat_of(record.stream, record.event),
                    round=0,
                    attempts=0,
                    due=None,
                    first_attempt_at=None,
                    record=record,
                ),
            )
            for each, record, sequence in zip(written, records, sequences, strict=True)
        ]

    def of(self, endpoint: str) -> News | None:
        """What it says to this one; None where that is too much to be handed on."""
        deliveries = tuple(delivery for told, delivery in self._told if endpoint in told)
        if len(deliveries) > AT_HAND:
            return None
        return News(self._after, self._until, self._losses, deliveries)
