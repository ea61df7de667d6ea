"""Who waits for what becomes of a message."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from threading import Event
from types import SimpleNamespace
from typing import Any, cast

import pytest

from chatbot_erp.actors.callers import Verdict
from chatbot_erp.actors.config import Config
from chatbot_erp.actors.dispatch import Dispatch, text_message
from chatbot_erp.actors.errors import ManagerError, OutcomeUnknown, Unavailable
from chatbot_erp.actors.house import House
from chatbot_erp.actors.outbox import Outbox

PATIENCE_S = 60.0


@pytest.mark.parametrize(
    ("take", "told"),
    [(Future.set_running_or_notify_cancel, OutcomeUnknown), (lambda _: True, Unavailable)],
    ids=["taken", "not taken"],
)
def test_at_the_end_nobody_waits_for_a_verdict_and_what_was_not_taken_is_not_sent(
    tmp_path: Path, take: Callable[[Future[Verdict]], bool], told: type[ManagerError]
) -> None:
    asked = Event()

    def tell(delivery: Any) -> None:
        take(delivery.caller)
        asked.set()

    directory = SimpleNamespace(find=lambda name: SimpleNamespace(actor=SimpleNamespace(tell=tell)))
    config = Config(data_dir=tmp_path, send_timeout_s=10 * PATIENCE_S)
    house = cast(House, SimpleNamespace(config=config, store=None, directory=directory))
    dispatch = Dispatch(house, Outbox(config), lambda name, message: None)
    with ThreadPoolExecutor(1) as pool:
        waits = pool.submit(dispatch.deliver, "a", text_message("5591999999999", "Olá", None))
        assert asked.wait(PATIENCE_S)
        dispatch.release()
        with pytest.raises(told):
            waits.result(PATIENCE_S)
