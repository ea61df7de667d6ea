"""What a host fetches for its manager beside all else: files, a few at once, on threads of their own."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from chatbot_erp.actors.frames import Observation
from chatbot_erp.actors.media_frames import FetchMedia, Reason, SocketFailedToFetch, SocketFetched
from chatbot_erp.actors.wa_media import Fetcher, FetchFailed

WANTED_AT_ONCE, AHEAD_AT_ONCE = 3, 1
"""Somebody waits for a wanted file; one that is fetched ahead of that never stands before it."""


class Downloads:
    """Fetches in the order in which it was told to. `say` is called on its threads, and by `end`, once for each."""

    def __init__(self, say: Callable[[str, Observation], None], fetcher: Fetcher | None = None) -> None:
        self._say = say
        self._fetcher = fetcher or Fetcher()
        self._open: dict[str, FetchMedia] = {}
        self._wanted = ThreadPoolExecutor(WANTED_AT_ONCE, "download")
        self._ahead = ThreadPoolExecutor(AHEAD_AT_ONCE, "download-ahead")

    def begin(self, order: FetchMedia) -> None:
        """Fetch this, and say when it is there or why it will not be."""
        self._open[order.command_id] = order
        (self._ahead if order.ahead else self._wanted).submit(self._fetch, order)

    def end(self) -> None:
        """Say of everything that it was interrupted, also of what waits for its turn or for a server that is silent."""
        self._fetcher.stop()
        for order in list(self._open.values()):
            # What has come meanwhile was said to have come, and lies where it should.
            if self._open.pop(order.command_id, None) is not None:
                self._say(order.instance, _failed(order, "interrupted", "The socket host is ending."))

    def _fetch(self, order: FetchMedia) -> None:
        try:
            size = self._fetcher.fetch(order.media, Path(order.target), most=order.most, spare=order.spare)
        except FetchFailed as ex:
            self._settle(order, _failed(order, ex.reason, str(ex)))
        except Exception as ex:  # noqa: BLE001 - somebody waits for a word
            self._settle(order, _failed(order, "damaged", repr(ex)))
        else:
            self._settle(order, SocketFetched(command_id=order.command_id, size=size))

    def _settle(self, order: FetchMedia, seen: Observation) -> None:
        if self._open.pop(order.command_id, None) is not None:
            self._say(order.instance, seen)
        else:
            # Who waited was told that it was interrupted, and looks for no file any more.
            with suppress(OSError):
                Path(order.target).unlink()


def _failed(order: FetchMedia, reason: Reason, detail: str) -> SocketFailedToFetch:
    return SocketFailedToFetch(command_id=order.command_id, reason=reason, detail=detail)
