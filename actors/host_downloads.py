"""What a host fetches for its manager beside all else: files, a few at once, on threads of their own."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from chatbot_erp.actors.frames import Observation
from chatbot_erp.actors.media_frames import FetchMedia, SocketFailedToFetch, SocketFetched
from chatbot_erp.actors.wa_media import Fetcher, FetchFailed

WANTED_AT_ONCE, AHEAD_AT_ONCE = 3, 1
"""Somebody waits for a wanted file; one that is fetched ahead of that never stands before it."""


class Downloads:
    """Fetches in the order in which it was told to. `say` is called on its threads."""

    def __init__(self, say: Callable[[str, Observation], None], fetcher: Fetcher | None = None) -> None:
        self._say = say
        self._fetcher = fetcher or Fetcher()
        self._wanted = ThreadPoolExecutor(WANTED_AT_ONCE, "download")
        self._ahead = ThreadPoolExecutor(AHEAD_AT_ONCE, "download-ahead")

    def begin(self, order: FetchMedia) -> None:
        """Fetch this, and say when it is there or why it will not be."""
        (self._ahead if order.ahead else self._wanted).submit(self._fetch, order)

    def end(self) -> None:
        """Say of everything that it was interrupted. Does not wait."""
        self._fetcher.stop()

    def _fetch(self, order: FetchMedia) -> None:
        try:
            size = self._fetcher.fetch(order.media, Path(order.target), most=order.most, spare=order.spare)
        except FetchFailed as ex:
            failed = SocketFailedToFetch(command_id=order.command_id, reason=ex.reason, detail=str(ex))
            self._say(order.instance, failed)
        except Exception as ex:  # noqa: BLE001 - somebody waits for a word
            failed = SocketFailedToFetch(command_id=order.command_id, reason="damaged", detail=repr(ex))
            self._say(order.instance, failed)
        else:
            self._say(order.instance, SocketFetched(command_id=order.command_id, size=size))
