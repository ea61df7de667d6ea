"""How those who are no actors ask one."""

from typing import Any

import pykka

from chatbot_erp.actors.errors import OutcomeUnknown, Unavailable
from chatbot_erp.actors.journal import JournalBroken

ASK_PATIENCE_S = 35.0
"""How long an actor may take to answer; a little more than it grants the disk."""


def ask(actor: pykka.ActorRef[Any], message: object) -> Any:
    """The actor's answer. Raises what it raises, `Unavailable` if it is gone, `OutcomeUnknown` if it is too slow."""
    try:
        return actor.ask(message, timeout=ASK_PATIENCE_S)
    except pykka.ActorDeadError as ex:
        raise Unavailable("The instance is being brought back to life.") from ex
    except JournalBroken as ex:
        raise OutcomeUnknown("The disk has not answered in time; it may still be done.") from ex
    except pykka.Timeout as ex:
        raise OutcomeUnknown("The instance has not answered in time; it may still do what was asked.") from ex
