"""What a phone says: messages of every kind, and the files in them."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from chatbot_erp.sandbox import composing, control, polls
from chatbot_erp.sandbox.composing import NO_CONTEXT, Context
from chatbot_erp.sandbox.contents import Contact, Media, MediaKind, Preview
from chatbot_erp.sandbox.control import InboxMessage
from chatbot_erp.sandbox.control_connection import ConnectionPool
from chatbot_erp.sandbox.media import MediaClient

_MIMETYPES = {
    "image": "image/jpeg",
    "video": "video/mp4",
    "note": "video/mp4",
    "audio": "audio/mpeg",
    "voice": "audio/ogg; codecs=opus",
    "document": "application/octet-stream",
    "sticker": "image/webp",
}
_FILED_AS: dict[str, MediaKind] = {
    "image": "image",
    "video": "video",
    "note": "video",
    "audio": "audio",
    "voice": "audio",
    "document": "document",
    "sticker": "image",
}


class Messages:
    """The part of a `Phone` that writes. `to` is a number, a group's JID, or `status@broadcast` for all it has written with;
    what is sent is answered with its id.

    Every kind takes a `Context`: `maria.send(shop, "this one", context=Context(quote=message))`.
    """

    _pool: ConnectionPool
    _media: MediaClient
    number: str
    lid: str

    def send_message(self, to: str, message: Any) -> str:
        """Send a protobuf of one's own making: a `wire.proto.Message`, or its bytes."""
        raw = message if isinstance(message, bytes) else message.SerializeToString()
        return self._pool.ask(control.Send(number=self.number, to=to, message=raw), str)

    def send(self, to: str, text: str, *, context: Context = NO_CONTEXT, preview: Preview | None = None) -> str:
        """Send a text to another number (also to one that is away)."""
        return self.send_message(to, composing.text(text, context, preview))

    def send_again(self, message_id: str) -> None:
        """Send a number once more what it was sent, under the same id: WhatsApp tells its companions twice."""
        self._pool.ask(control.SendAgain(number=self.number, message_id=message_id), type(None))

    def send_media(
        self,
        to: str,
        kind: str,
        file: bytes | Path,
        *,
        caption: str = "",
        mimetype: str = "",
        name: str = "",
        seconds: int = 0,
        animated: bool = False,
        view_once: bool = False,
        context: Context = NO_CONTEXT,
    ) -> str:
        """Upload a file and send it as an image, video, note (a round video), audio, voice, document or sticker."""
        access = self._pool.ask(control.OpenMedia(number=self.number), control.MediaAccess)
        what = Media(
            file=self._media.upload(file, _FILED_AS[kind], access.host, access.auth),
            mimetype=mimetype or _MIMETYPES[kind],
            name=name,
            seconds=seconds,
            animated=animated,
        )
        return self.send_message(to, composing.media(kind, what, caption, context, view_once=view_once))

    def open(self, message: InboxMessage) -> bytes:
        """The file of a message that came in, downloaded, checked and decrypted.

        Raises `media.MediaRefused` when the host does not have it, `media.MediaDamaged` when it is another file.
        """
        with tempfile.TemporaryFile() as target:
            self._media.download(_file(message), target)
            target.seek(0)
            return target.read()

    def save(self, message: InboxMessage, path: Path) -> None:
        """As `open`, into a file: for what is too large for memory."""
        with path.open("wb") as target:
            self._media.download(_file(message), target)

    def forget_media(self, message: InboxMessage) -> None:
        """Have the media hosts lose the file of a message: it is answered with 410 from now on."""
        self._pool.ask(control.ForgetMedia(direct_path=_file(message).direct_path), type(None))

    def send_location(
        self,
        to: str,
        latitude: float,
        longitude: float,
        *,
        name: str = "",
        address: str = "",
        context: Context = NO_CONTEXT,
    ) -> str:
        return self.send_message(to, composing.location(latitude, longitude, name, address, context))

    def send_live_location(self, to: str, latitude: float, longitude: float, *, caption: str = "") -> str:
        return self.send_message(to, composing.live_location(latitude, longitude, caption))

    def send_contacts(self, to: str, *contacts: Contact, context: Context = NO_CONTEXT) -> str:
        return self.send_message(to, composing.contacts(contacts, context))

    def send_poll(
        self, to: str, question: str, options: Sequence[str], *, selectable: int = 1, context: Context = NO_CONTEXT
    ) -> str:
        """Ask a question; `selectable=0` lets one give any number of answers."""
        return self.send_message(to, composing.poll(question, options, selectable, context))

    def vote(self, poll: InboxMessage, *options: str) -> str:
        """Choose these options of a poll that came in, in place of what was chosen before; none takes it back."""
        return self.send_message(poll.group or poll.sender, polls.vote(poll, f"{self.lid}@lid", options))

    def react(self, to: str, message_id: str, emoji: str, *, own: bool = False, author: str = "") -> str:
        """React to a message of theirs, or to an `own` one; an empty emoji takes the reaction back.

        In a group `author` is the JID of whose message it is.
        """
        return self.send_message(to, composing.reaction(self._chat(to), message_id, own, author, emoji))

    def edit(self, to: str, message_id: str, text: str) -> str:
        """Change what a message of one's own says."""
        return self.send_message(to, composing.edit(self._chat(to), message_id, composing.text(text)))

    def revoke(self, to: str, message_id: str, *, author: str = "") -> str:
        """Delete a message of one's own for everyone; as a group's admin, that of the `author` with this JID.

        Nobody looks whether it is one's own, as nobody does in WhatsApp: who is told has to.
        """
        return self.send_message(to, composing.revoke(self._chat(to), message_id, author))

    def _chat(self, to: str) -> str:
        """How this phone names the chat with a number: by its LID."""
        if to.endswith("@g.us"):
            return to
        return f"{self._pool.ask(control.ReadPhone(number=to), control.PhoneView).lid}@lid"


def _file(message: InboxMessage) -> Any:
    if message.content.media is None:
        raise ValueError(f"{message.id} is a {message.kind} and has no file.")
    return message.content.media.file
