"""Whether the file of keys is as new as the log: an older one lacks keys, and whom they were of would look erased.

It is looked for among the newest events only, so that a start costs the same with every log.
"""

from pathlib import Path

from chatbot_erp.eventstore.codec import CODEC
from chatbot_erp.eventstore.engine import Ask
from chatbot_erp.eventstore.erasures import Destroyed, Expired
from chatbot_erp.eventstore.errors import KeysOutdated, LogCorrupt
from chatbot_erp.eventstore.events import ContentExpired, SubjectErased
from chatbot_erp.eventstore.keys_file import FILE
from chatbot_erp.eventstore.subject_keys import SubjectKeys

NEWEST = 10_000
"""Events that are looked at."""

GIVEN_UP = "keys.older"
"""The file by which somebody says that the newer keys are lost for ever."""


def must_fit(ask: Ask, keys: SubjectKeys, directory: Path) -> None:
    """Raises KeysOutdated, StoreUnavailable, and what `ask` raises."""
    if (directory / GIVEN_UP).exists():
        return
    boxes = ask("newest_boxes", {"count": NEWEST}).fetchall()
    closed = [box for box in boxes if keys.cipher(box[0], box[1]) is None]
    if not closed or not keys.any():
        return  # nobody is in a file that somebody made to go on without the lost one
    try:
        erased, before = _forgotten(ask, keys)
    except LogCorrupt:
        return  # whose keys are missing on purpose cannot be told; `verify` says where the log is damaged
    lost = [last for subject, period, _, last in closed if subject not in erased and period >= before]
    first_that_opens = min((box[2] for box in boxes if box not in closed), default=0)
    # What went before a new beginning is lost knowingly; after it nothing is, nor anything where there was none.
    if lost and max(lost) > first_that_opens:
        raise KeysOutdated(
            f"{directory / FILE} is older than the log: it lacks keys to what was said up to position {max(lost)}."
        )


def _forgotten(ask: Ask, keys: SubjectKeys) -> tuple[set[str], str]:
    """Whose keys were destroyed on purpose, and before which day everybody's, by the log or by what is under way."""
    erased: set[str] = set()
    before = ""
    told = [CODEC.decode(*row) for row in ask("forgotten")]
    for each in (*told, *(erasure.stage for erasure in keys.unfinished_erasures())):
        if isinstance(each, SubjectErased | Destroyed):
            erased.update(each.subjects)
        elif isinstance(each, ContentExpired | Expired):
            before = max(before, each.before)
    return erased, before
