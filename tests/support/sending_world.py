"""A manager with one number that sends, and what comes of it: for the journeys of messages and of their files."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_httpserver import HTTPServer

from chatbot_erp.sandbox.client import InboxMessage, Network, Phone
from manager_process import ManagerProcess
from receiver import Receiver

NewPhone = Callable[[str], Phone]
Json = dict[str, Any]


@dataclass(frozen=True)
class World:
    """One manager with one number, `empresa_x`, for all of these journeys; each has customers of its own."""

    manager: ManagerProcess
    receiver: Receiver
    shop: Phone
    pages: HTTPServer

    def post(self, body: Json, **settings: Any) -> Any:
        """The answer to a call."""
        return self.manager.call("POST", "/instances/empresa_x/messages", json=body, **settings)

    def send(self, to: str, **body: Any) -> str:
        """The id of a message that WhatsApp has taken."""
        answer = self.post({"to": to, **body})
        assert answer.status_code == 200, answer.text
        return str(answer.json()["messageId"])

    def upload(self, message: Json, file: bytes, name: str = "", **settings: Any) -> Any:
        """The answer to a call with a file, as multipart/form-data."""
        parts = {"message": (None, json.dumps(message), "application/json"), "file": (name or "f", file)}
        return self.manager.call("POST", "/instances/empresa_x/messages", files=parts, **settings)

    def refused(self, body: Json) -> tuple[int, str]:
        """Status and type of a refusal."""
        answer = self.post(body)
        return answer.status_code, answer.json()["type"].rpartition("/")[2]

    def told(self, event: str, message_id: str, *, ack: str | None = None) -> Any:
        """What the webhook was told of a message."""
        (found, *_) = self.receiver.wait_for(
            lambda payload: (
                payload["event"] == event
                and payload["whatsapp"]["messageId"] == message_id
                and ack in (None, payload.get("ack", {}).get("name"))
            )
        )
        return found.payload

    def outbox(self) -> list[Path]:
        """The files that wait to be sent."""
        return list((self.manager.data_dir / "outbox").glob("*"))


@contextmanager
def sending_world(directory: Path, network: Network, number: str, pages: HTTPServer) -> Iterator[World]:
    """A world of its own; its data directory holds what a manager that was killed has left behind."""
    shop = network.phone(number, name="Empresa X")
    (directory / "outbox").mkdir(parents=True)
    (directory / "outbox" / "c0ffee").write_bytes(b"x")
    with Receiver() as receiver, ManagerProcess(directory, network, "--media-max-mib", "65") as manager:
        manager.pair("empresa_x", shop, receiver.url())
        yield World(manager, receiver, shop, pages)


def got(phone: Phone, message_id: str) -> InboxMessage:
    """The message as the phone has it, which has it by the time its sender hears of a receipt."""
    return next(each for each in phone.inbox() if each.id == message_id)
