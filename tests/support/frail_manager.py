"""`chatbot-erp`, but that SIGUSR2 makes an actor of an instance fail: each time the next one's turn."""

import itertools
import signal
from types import FrameType

import pykka

from chatbot_erp.actors.main import main

_turns = itertools.count()


def strike(number: int, frame: FrameType | None) -> None:
    """Tell an actor what no actor can bear."""
    actors = sorted(pykka.ActorRegistry.get_by_class_name("InstanceActor"), key=lambda actor: actor.actor_urn)
    if actors:
        actors[next(_turns) % len(actors)].tell("nonsense")


if __name__ == "__main__":
    signal.signal(signal.SIGUSR2, strike)
    main()
