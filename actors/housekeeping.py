"""What is done in the house now and then, beside its work: what nobody needs any more is dropped."""

from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from datetime import timedelta
from threading import Thread

import structlog

from chatbot_erp.actors.erasing import Eraser
from chatbot_erp.actors.errors import ErasureUnfinished, Unavailable
from chatbot_erp.actors.house import House
from chatbot_erp.actors.media_files import MediaFiles
from chatbot_erp.actors.outbox import Outbox
from chatbot_erp.eventstore.errors import StoreError

log = structlog.get_logger()

ATTEMPTS_KEPT = timedelta(days=90)
NEXT_BITE_S = 1.0
PRUNE_EVERY_S = 600.0


def forget_old_attempts(house: House) -> None:
    """Drop delivery attempts that nobody looks up any more: now and every few minutes, bite after bite."""

    def go_on(bite: Future[int]) -> None:
        # Runs on the store's thread.
        more = not bite.cancelled() and bite.exception() is None and bite.result() > 0
        house.alarms.set(NEXT_BITE_S if more else PRUNE_EVERY_S, lambda: forget_old_attempts(house))

    try:
        house.store.prune_attempts(house.now() - ATTEMPTS_KEPT).add_done_callback(go_on)
    except StoreError:
        house.alarms.set(PRUNE_EVERY_S, lambda: forget_old_attempts(house))


def tidy_media_now_and_then(house: House) -> None:
    """Erase files of messages that are too old or that nobody sends any more, now and every few minutes."""
    house.alarms.set(PRUNE_EVERY_S, lambda: tidy_media_now_and_then(house))
    Thread(target=tidy_media, args=(house,), name="media-tidy", daemon=True).start()


def tidy_media(house: House) -> None:
    """Erase received files that are too old, and those in the outbox whose message does not wait any more."""
    views = house.directory.views()
    Outbox(house.config).tidy(house.now(), {command_id for view in views for command_id in view.pending})
    MediaFiles(house.config).tidy(house.now(), {view.id for view in views} | house.directory.missing())


def forget_old_content(house: House, eraser: Eraser) -> None:
    """Finish erasures that were stuck, and drop what was said too long ago: now and every few minutes."""

    def forget() -> None:
        if house.config.content_keep_days:
            with postponed():
                eraser.expire(house.config.content_keep_days, house.now())
        with postponed():
            eraser.resume(house.now())

    house.alarms.set(PRUNE_EVERY_S, lambda: forget_old_content(house, eraser))
    Thread(target=forget, name="forget", daemon=True).start()


@contextmanager
def postponed() -> Iterator[None]:
    """What cannot be forgotten now is tried again later, and nothing else waits for it."""
    try:
        yield
    except (StoreError, ErasureUnfinished, Unavailable, OSError) as ex:
        log.warning("not forgotten yet", action="forgetting_postponed", error=str(ex))
