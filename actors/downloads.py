"""The files that an instance has ordered from its host, and who waits for them. Used by one actor, in its thread."""

from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import assert_never
from uuid import uuid4

import msgspec
import structlog

from chatbot_erp.actors import frames
from chatbot_erp.actors.errors import InstanceNotOperational, ManagerError, MediaGone, MediaUnavailable, Unavailable
from chatbot_erp.actors.media_files import MediaFiles
from chatbot_erp.actors.media_frames import FetchMedia, Reason, SocketFailedToFetch, SocketFetched
from chatbot_erp.actors.media_specs import Media, media_in

log = structlog.get_logger()

Arrived = Future[None]

MOST = 256
"""So many are on order at a time; one that is not ordered ahead is fetched when somebody wants it."""


class Downloads:
    """Futures by the id of their order."""

    def __init__(
        self, instance: str, files: MediaFiles, give: Callable[[frames.Order], bool], losses: Callable[[], int]
    ) -> None:
        self._instance = instance
        self._losses = losses
        self._files = files
        self._give = give
        self._waiting: dict[str, Arrived] = {}

    def order(self, media: Media, target: Path, *, ahead: bool = False) -> Arrived:
        """A future that resolves when the file is at `target`, or raises `MediaGone`, `MediaUnavailable`, `Unavailable`.

        Raises `InstanceNotOperational` where there is no host to fetch it.
        """
        if len(self._waiting) >= MOST:
            raise Unavailable(f"{MOST} files are on their way already.")
        order = FetchMedia(
            instance=self._instance, command_id=str(uuid4()), target=str(target), media=media, ahead=ahead
        )
        arrived = self._waiting[order.command_id] = Arrived()
        if not self._give(order):
            del self._waiting[order.command_id]
            raise InstanceNotOperational("The instance has no connection: restart it, or wait until it is healed.")
        return arrived

    def keep(self, message_id: str, raw: msgspec.Raw) -> None:
        """Fetch the file of a message ahead, where files are kept. What fails now can be had later, while it lasts."""
        media = media_in(raw, message_id) if self._files.keeps else None
        if media is None or self._files.has(self._instance, media):
            return

        def kept(arrived: Arrived) -> None:
            ex = arrived.exception()
            if ex is None and self._losses() != begun:
                target.unlink(missing_ok=True)  # it may be of somebody who was forgotten meanwhile
            elif ex is None:
                self._files.keep(self._instance, media, target)
            else:
                log.warning("a file was not fetched", action="media_missed", instance=self._instance, error=str(ex))

        begun = self._losses()
        try:
            target = self._files.new(self._instance)
            self.order(media, target, ahead=True).add_done_callback(kept)
        except (ManagerError, OSError) as ex:
            log.warning("a file was not fetched", action="media_missed", instance=self._instance, error=str(ex))

    def settle(self, seen: SocketFetched | SocketFailedToFetch) -> None:
        """The host says what became of one."""
        arrived = self._waiting.pop(seen.command_id, None)
        if arrived is None:
            return
        match seen:
            case SocketFetched():
                arrived.set_result(None)
            case SocketFailedToFetch(reason=reason, detail=detail):
                arrived.set_exception(_error(reason, detail))

    def give_up(self) -> None:
        """The host is gone, or whoever would hear it."""
        waiting, self._waiting = self._waiting, {}
        for arrived in waiting.values():
            arrived.set_exception(Unavailable("The connection ended while the file was fetched."))


def _error(reason: Reason, detail: str) -> ManagerError:
    match reason:
        case "gone":
            return MediaGone(detail)
        case "disk" | "interrupted":
            return Unavailable(detail)
        case "unreachable" | "damaged":
            return MediaUnavailable(detail)
        case _:
            assert_never(reason)
