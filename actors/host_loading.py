"""Loads what socket hosts are forked from, which may take a minute, away from whoever wants one."""

import logging
import threading
from collections.abc import Callable, Mapping

from chatbot_erp.actors.host_nursery import is_loaded, prepare
from chatbot_erp.actors.host_process import ENVIRONMENT

log = logging.getLogger(__name__)


def get_ready(environment: Mapping[str, str], given_up: Callable[[], bool]) -> bool:
    """Load what hosts with such an environment need; whether it is loaded now.

    Returns early when it is `given_up`.
    """
    try:
        prepare({**ENVIRONMENT, **environment}, given_up)
    except OSError as ex:
        if not given_up():
            log.warning("No socket host could be made ready for: %s", ex)
        return False
    return True


class Loading:
    """As `get_ready`, on a thread of its own, whenever it is found that nothing is loaded. Asked by one thread."""

    def __init__(self, environment: Mapping[str, str], given_up: Callable[[], bool]) -> None:
        self._environment = environment
        self._given_up = given_up
        self._thread: threading.Thread | None = None
        self._has_failed = False

    def is_over(self) -> bool:
        """Whether it is known at once if a host can be had.

        It is not while something is being loaded, which begins with this question; then it is to be asked again. It is
        once where that has failed: whoever tries to have a host then hears of it.
        """
        if self._thread is not None and self._thread.is_alive():
            return False
        has_failed, self._has_failed = self._has_failed, False
        if has_failed or is_loaded({**ENVIRONMENT, **self._environment}):
            return True
        self._thread = threading.Thread(target=self._load, name="loading", daemon=True)
        self._thread.start()
        return False

    def _load(self) -> None:
        self._has_failed = not get_ready(self._environment, self._given_up)
