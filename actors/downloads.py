"""The files that an instance has ordered from its host, and who waits for them. Used by one actor, in its thread."""

from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import assert_never
from uuid import uuid4

import msgspec

from chatbot_erp.actors import frames
from chatbot_erp.actors.errors import InstanceNotOperational, ManagerError, MediaGone, MediaUnavailable, Unavailable
from chatbot_erp.actors.media_files import MediaFiles
from chatbot_erp.actors.media_frames import FetchMedia, Reason, SocketFailedToFetch, SocketFetched
from chatbot_erp.actors.media_specs import LARGEST, Media, media_in

Arrived = Future[None]

MOST = 256
"""So many are on order at a time; one that is not ordered ahead is fetched when somebody wants it."""


class Downloads:
    """Futures by the id of their order. `miss` is told which message's file was not fetched ahead, and why."""

    def __init__(
        self,
        instance: str,
        files: MediaFiles,
        give: Callable[[frames.Order], bool],
        losses: Callable[[], int],
        miss: Callable[[str, str], None],
    ) -> None:
        self._instance = instance
        self._losses = losses
        self._files = files
        self._give = give
        self._miss = miss
        self._waiting: dict[str, Arrived] = {}
        self._ahead: dict[str, str] = {}
        """Orders that nobody waits for yet: the ids of their messages."""

    def order(self, media: Media, target: Path, *, ahead_of: str = "") -> Arrived:
        """A future that resolves when the file is at `target`, or raises `MediaGone`, `MediaUnavailable`, `Unavailable`.

        `ahead_of` is the message that it belongs to, where nobody waits for it yet. Raises `InstanceNotOperational`
        where there is no host to fetch it, `Unavailable` where too many are on their way.
        """
        if len(self._waiting) >= MOST:
            raise Unavailable(f"{MOST} files are on their way already.")
        order = FetchMedia(
            instance=self._instance,
            command_id=str(uuid4()),
            target=str(target),
            media=media,
            most=self._files.most_ahead if ahead_of else LARGEST,
            spare=self._files.spare,
            ahead=bool(ahead_of),
        )
        if not self._give(order):
            raise InstanceNotOperational("The instance has no connection: restart it, or wait until it is healed.")
        arrived = self._waiting[order.command_id] = Arrived()
        if ahead_of:
            self._ahead[order.command_id] = ahead_of
        return arrived

    def keep(self, message_id: str, raw: msgspec.Raw) -> None:
        """Fetch the file of a message ahead, where files are kept. What fails now can be had later, while it lasts."""
        media = media_in(raw, message_id) if self._files.keeps else None
        if media is None:
            return

        def kept(arrived: Arrived) -> None:
            if arrived.exception() is not None:
                return
            if self._losses() != begun:
                target.unlink(missing_ok=True)  # it may be of somebody who was forgotten meanwhile
            else:
                self._files.keep(self._instance, media, target)

        begun = self._losses()
        try:
            if self._files.has(self._instance, media):
                return
            target = self._files.new(self._instance)
            self.order(media, target, ahead_of=message_id).add_done_callback(kept)
        except InstanceNotOperational:
            self._miss(message_id, "interrupted")
        except Unavailable:
            self._miss(message_id, "crowded")
        except OSError:
            self._miss(message_id, "disk")

    def settle(self, seen: SocketFetched | SocketFailedToFetch) -> None:
        """The host says what became of one."""
        arrived = self._waiting.pop(seen.command_id, None)
        ahead_of = self._ahead.pop(seen.command_id, None)
        if arrived is None:
            return
        match seen:
            case SocketFetched():
                arrived.set_result(None)
            case SocketFailedToFetch(reason=reason, detail=detail):
                arrived.set_exception(_error(reason, detail))
                if ahead_of is not None:
                    self._miss(ahead_of, reason)
            case _:
                assert_never(seen)

    def give_up(self) -> None:
        """The host is gone, or whoever would hear it."""
        waiting, self._waiting = self._waiting, {}
        ahead, self._ahead = self._ahead, {}
        for arrived in waiting.values():
            arrived.set_exception(Unavailable("The connection ended while the file was fetched."))
        for message_id in ahead.values():
            self._miss(message_id, "interrupted")


def _error(reason: Reason, detail: str) -> ManagerError:
    match reason:
        case "gone":
            return MediaGone(detail)
        case "disk" | "interrupted":
            return Unavailable(detail)
        case "unreachable" | "damaged" | "large":
            return MediaUnavailable(detail)
        case _:
            assert_never(reason)
