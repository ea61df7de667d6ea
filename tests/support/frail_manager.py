"""`chatbot-erp`, but that SIGUSR2 makes an actor of an instance fail, and SIGUSR1 makes one hang: each time the next
one's turn."""

import itertools
import signal
import time
from types import FrameType

import pykka

from chatbot_erp.actors import frames, tidings
from chatbot_erp.actors.commands import Observed
from chatbot_erp.actors.house import utc_now
from chatbot_erp.actors.main import main

HANG_S = 90.0

_turns = itertools.count()


class Tarpit:
    """A socket host that takes no order for longer than anybody waits."""

    def order(self, order: frames.Order, /) -> None:
        time.sleep(HANG_S)


def strike(number: int, frame: FrameType | None) -> None:
    """Tell an actor what no actor can bear."""
    actors = sorted(pykka.ActorRegistry.get_by_class_name("InstanceActor"), key=lambda actor: actor.actor_urn)
    if not actors:
        return
    actor = actors[next(_turns) % len(actors)]
    if number == signal.SIGUSR2:
        actor.tell("nonsense")
    else:
        receipt = frames.SocketSawReceipt(message_ids=("none",), jid="0@s.whatsapp.net", participant=None, ack=2)
        observed = Observed(generation=0, observation=receipt, at=utc_now())
        actor.tell(tidings.Heard(observed=observed, number=1, oldest=1, host=Tarpit()))


if __name__ == "__main__":
    signal.signal(signal.SIGUSR1, strike)
    signal.signal(signal.SIGUSR2, strike)
    main()
