"""A WhatsApp library that does nothing by itself."""

import itertools
import threading
from collections.abc import Sequence
from typing import Any

from chatbot_erp.actors.contents import Sendable
from chatbot_erp.actors.questions import AnyAnswer, AnyQuestion
from chatbot_erp.actors.wa_client import NO_CLIENT, Hearing, LibraryError, MediaConnection, Receipt, Uploaded

PATIENCE_S = 60.0


class FakeClient:
    """A `wa_client.Client` that does nothing by itself."""

    def __init__(self, _session: object, hearing: Hearing) -> None:
        self.hearing = hearing
        self.done: list[str] = []
        self.dial_error: str | None = None
        self.send_error: str | None = None
        self.vote_error: Exception | None = None
        self.connected = True
        self.logged_in = True
        self.silent = False
        self.name = "Empresa X"
        self.stopped, self.asked = threading.Event(), threading.Event()
        self.on_disconnect: list[Any] = []
        self.questions: list[AnyQuestion] = []
        self.answers: list[AnyAnswer] = []
        self.connections = itertools.count(1)

    def connect(self) -> None:
        if self.dial_error is not None:
            raise LibraryError(self.dial_error)
        self.stopped.wait(PATIENCE_S)

    def await_life(self, patience_s: float) -> bool:
        return True

    def disconnect(self) -> None:
        self.done.append("disconnect")
        for event in self.on_disconnect:
            self.hearing.event(event)

    def stop(self) -> None:
        self.done.append("stop")
        self.stopped.set()

    def log_out(self) -> None:
        self.done.append("log_out")
        if self.send_error is not None:
            raise LibraryError(self.send_error)

    def is_connected(self) -> bool:
        if self.stopped.is_set():
            raise LibraryError(NO_CLIENT)
        return self.connected

    def is_logged_in(self) -> bool:
        return self.connected and self.logged_in

    def send(self, jid: str, content: Sendable, file: Uploaded | None = None) -> Receipt:
        if self.send_error is not None:
            raise LibraryError(self.send_error)
        self.done.append(f"send {jid} {content.text}")
        return Receipt("ID", 1_700_000_000)

    def media_connection(self) -> MediaConnection:
        if self.send_error is not None:
            raise LibraryError(self.send_error)
        return MediaConnection("media.example", f"auth-{next(self.connections)}")

    def find(self, numbers: Sequence[str]) -> dict[str, str]:
        self.asked.set()
        if self.silent:
            self.stopped.wait(PATIENCE_S)
            raise LibraryError("info query timed out")
        return {} if numbers[0] == "404" else {numbers[0]: f"{numbers[0]}@s.whatsapp.net"}

    def own_name(self) -> str:
        return self.name

    def phone_number_of(self, lid: str) -> str | None:
        return None

    def ask(self, question: AnyQuestion) -> AnyAnswer:
        self.questions.append(question)
        if self.send_error is not None:
            raise LibraryError(self.send_error)
        return self.answers.pop(0)

    def pairing_code(self, number: str) -> str:
        if number == "0":
            raise LibraryError("international phone number required")
        return "ABCD-1234"

    def chosen(self, vote: Any) -> tuple[bytes, ...]:
        if self.vote_error is not None:
            raise self.vote_error
        if self.send_error is not None:
            raise LibraryError(self.send_error)
        return (b"\x01" * 32,)
