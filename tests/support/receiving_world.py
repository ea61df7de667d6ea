"""A manager with one number, for journeys of what others send."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chatbot_erp.sandbox.client import Network, Phone
from manager_process import ManagerProcess
from receiver import Receiver


@dataclass(frozen=True)
class World:
    """One manager with one number, `empresa_x`, for all journeys of a file; each has customers of its own."""

    manager: ManagerProcess
    receiver: Receiver
    shop: Phone

    def told(self, event: str, chat: str, *, count: int = 1) -> list[Any]:
        """What the webhook was told of this kind of event in a chat."""
        found = self.receiver.wait_for(
            lambda payload: payload["event"] == event and payload["whatsapp"]["jid"] == chat, count=count
        )
        return [each.payload for each in found]

    def message(self, message_id: str) -> Any:
        """What this message says, as the webhook was told."""
        (found,) = self.receiver.wait_for(
            lambda payload: payload["event"] == "message.received" and payload["whatsapp"]["messageId"] == message_id
        )
        return found.payload["message"]

    def media(self, message_id: str) -> Any:
        """The answer of the call for the file of a message."""
        return self.manager.call("GET", f"/instances/empresa_x/messages/{message_id}/media")


@contextmanager
def one_number(directory: Path, network: Network, number: str) -> Iterator[World]:
    shop = network.phone(number, name="Empresa X")
    with Receiver() as receiver, ManagerProcess(directory / "data", network) as manager:
        manager.pair("empresa_x", shop, receiver.url())
        yield World(manager, receiver, shop)


def lid(phone: Phone) -> str:
    return f"{phone.lid}@lid"
