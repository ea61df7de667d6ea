"""What wa_socket.py needs of a WhatsApp library: blocking calls that may fail, and things heard."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import msgspec

from chatbot_erp.actors.contents import Sendable
from chatbot_erp.actors.questions import AnyAnswer, AnyQuestion


class LibraryError(Exception):
    """Raised when the library, or WhatsApp through it, says no; the text is the library's."""


NO_CLIENT = "client is nil"
"""The text where the library has no such client yet, or no more."""

NOT_COMPOSED = "failed to marshal message"
"""How the text begins where a message did not even become one."""


class Receipt(msgspec.Struct, frozen=True):
    """WhatsApp's server has a message; `at` is its clock, in seconds since 1970, or 0."""

    message_id: str
    at: int


class MediaConnection(msgspec.Struct, frozen=True):
    """Which of WhatsApp's media servers takes files of this client, and what proves that they are its own: a credential."""

    host: str
    auth: str

    def __repr__(self) -> str:
        return f"MediaConnection({self.host!r})"


class Uploaded(msgspec.Struct, frozen=True, kw_only=True):
    """A file on WhatsApp's media servers. `key` opens it; `size` in bytes, decrypted; `thumbnail` is a small JPEG or empty."""

    url: str
    direct_path: str
    key: bytes
    sha256: bytes
    encrypted_sha256: bytes
    size: int
    thumbnail: bytes = b""


class Hearing(msgspec.Struct, frozen=True, kw_only=True):
    """Who hears what. The calls come on threads of the library and must not call it back, but for `Client.chosen`."""

    event: Callable[[Any], None]
    """Each event, as neonize's protobuf; also `Device`, which says who we are, as soon as that is known."""

    garbled: Callable[[Any], None]
    """The `Info` of a message whose event could not be read, as far as that could: it nests too deep, or is damaged."""

    qr: Callable[[str], None]
    login_word: Callable[[str], None]
    """How a pairing went: "success", "timeout", "err-…"."""


class Client(Protocol):
    """One client of the library. Everything but `connect` may be called from any thread."""

    def connect(self) -> None:
        """Blocks while the client lives, or longer; raises if the first dial fails."""

    def await_life(self, patience_s: float) -> bool:
        """Wait until the library said anything of this client, or `connect` returned."""

    def disconnect(self) -> None:
        """End the connection. What was received is still handed over; sends that wait are given up."""

    def stop(self) -> None:
        """Forget the client. Nothing is heard of it afterwards."""

    def log_out(self) -> None:
        """Take this device off the phone's list and empty the session."""

    def is_connected(self) -> bool: ...

    def is_logged_in(self) -> bool: ...

    def send(self, jid: str, content: Sendable, file: Uploaded | None = None) -> Receipt:
        """Send, with the file that belongs to a content with media."""

    def media_connection(self) -> MediaConnection:
        """Where files are uploaded to, now."""

    def find(self, numbers: Sequence[str]) -> dict[str, str]:
        """Which of these numbers (digits) are on WhatsApp: number → jid, which may be a LID."""

    def phone_number_of(self, lid: str) -> str | None:
        """The phone number jid behind a LID, from the library's store."""

    def ask(self, question: AnyQuestion) -> AnyAnswer:
        """Ask WhatsApp about people or groups; people are full jids, and `FindPeople` is not for here."""

    def own_name(self) -> str:
        """The name that this number goes by; empty until its phone has told it."""

    def pairing_code(self, number: str) -> str: ...

    def chosen(self, vote: Any) -> tuple[bytes, ...]:
        """The SHA-256 of each option that a vote in a poll is for. May be called while an event is heard."""
