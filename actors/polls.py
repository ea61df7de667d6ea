"""What a vote in a poll is for, in words: it carries checksums only, and the log has the poll."""

import hashlib
from collections.abc import Callable
from typing import Any

import msgspec

from chatbot_erp.actors.frames import SocketReceived
from chatbot_erp.eventstore.events import MessageReceived, MessageSent

Find = Callable[[str], MessageReceived | MessageSent | None]
"""The message of this id, sent or received."""


def in_words(vote: SocketReceived, find: Find) -> SocketReceived:
    """The vote, with the words of each option that its poll has; without them where the poll is not found."""
    said: dict[str, Any] = msgspec.json.decode(vote.content)
    if not said.get("options"):
        return vote
    poll = find(said["message"]["messageId"])
    if poll is None or poll.kind != "poll":
        return vote
    offered: list[str] = msgspec.json.decode(poll.content).get("options", [])
    words = {hashlib.sha256(option.encode()).hexdigest(): option for option in offered}
    chosen = [words[option] for option in said["options"] if option in words]
    return msgspec.structs.replace(vote, content=msgspec.json.encode({**said, "chosen": chosen}).decode())
