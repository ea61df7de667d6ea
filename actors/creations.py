"""An instance of which nobody knows whether it was created: the log had not answered when its actor gave up waiting.

Its name stays taken until the log has: then it is there, or nothing of it remains.
"""

from concurrent.futures import Future

import structlog

from chatbot_erp.actors.house import House
from chatbot_erp.actors.instance_mail import ended
from chatbot_erp.actors.tidings import CreationDoubted, CreationSettled
from chatbot_erp.eventstore.errors import StoreClosed, StoreError

log = structlog.get_logger()

AGAIN_S = 1.0


def settle(house: House, instance: str, *, stopped: str | None = None) -> None:
    """Have the supervisor told `CreationSettled` when the log has said its last word; waits for nobody.

    Harmless for one that is there, or forgotten already; but whoever was `stopped` for it (an urn) may have come to be
    there since, and then another is wanted in its place.
    """
    actor = house.directory.actor(instance)
    if actor is None or (house.directory.seen(instance) is not None and actor.actor_urn != stopped):
        return
    # What it was asked before it still takes, and nothing after that.
    actor.stop(block=False)
    if not ended(actor).is_set():
        _again(house, instance, actor.actor_urn)
        return

    def hear(answer: Future[None]) -> None:
        """Runs in the store's thread."""
        if answer.exception() is None:
            house.supervisor.tell(CreationSettled(instance=instance))
        else:
            _again(house, instance, actor.actor_urn)

    try:
        house.store.settled().add_done_callback(hear)
    except StoreClosed:
        log.warning("the next start finds out whether it is there", action="creation_in_doubt", instance=instance)
    except StoreError:
        _again(house, instance, actor.actor_urn)


def _again(house: House, instance: str, stopped: str) -> None:
    doubted = CreationDoubted(instance=instance, stopped=stopped)
    house.alarms.set(AGAIN_S, lambda: house.supervisor.tell(doubted))
