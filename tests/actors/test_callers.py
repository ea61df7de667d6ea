"""Callers are told once what came of what they wanted, or that nobody knows."""

from concurrent.futures import Future
from typing import Any, cast

import pytest

from chatbot_erp.actors.callers import Callers, Verdict
from chatbot_erp.actors.commands import SendMessage
from chatbot_erp.actors.contents import Text
from chatbot_erp.actors.errors import OutcomeUnknown, Unavailable
from chatbot_erp.actors.journal import Journal
from chatbot_erp.eventstore.events import MessageFailed
from instance_world import NOW, PATIENCE_S, connected_state


def test_who_was_released_is_told_nothing_more_and_leaves_room() -> None:
    nowhere = cast(Any, None)
    callers = Callers(Journal("i", nowhere, lambda: NOW, connected_state(), 2), most=1)
    caller: Future[Verdict] = Future()
    callers.deliver(SendMessage(command_id="c", number="551", content=Text(text="Olá")), caller)
    with pytest.raises(Unavailable):
        callers.check(waits=True)
    callers.release()
    with pytest.raises(OutcomeUnknown):
        caller.result(PATIENCE_S)
    callers.tell_verdict(MessageFailed(command_id="c", reason="refused", detail=""))
    callers.check(waits=True)
    callers.release()
