"""What the manager orders and a socket host answers about the files of messages."""

from typing import Literal

from chatbot_erp.actors.frame import Frame
from chatbot_erp.actors.media_specs import Media

Reason = Literal["gone", "unreachable", "damaged", "large", "disk", "interrupted"]
"""Why a file cannot be had: the first is for ever, the last three are ours."""


class FetchMedia(Frame, frozen=True, kw_only=True):
    """Write this file, decrypted, to the path `target`, where there is none. `ahead`: nobody waits for it yet.

    It has at most `most` bytes, and leaves `spare` bytes of the disk free.
    """

    instance: str
    command_id: str
    target: str
    media: Media
    most: int
    spare: int
    ahead: bool = False


class SocketFetched(Frame, frozen=True, kw_only=True):
    """What `FetchMedia` asked for is where it was wanted, whole."""

    command_id: str
    size: int


class SocketFailedToFetch(Frame, frozen=True, kw_only=True):
    """What `FetchMedia` asked for cannot be had, and no file is there."""

    command_id: str
    reason: Reason
    detail: str
