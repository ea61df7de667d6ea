"""Sending, what became of it, and the files of what was received."""

from chatbot_erp.actors.manager import Manager
from chatbot_erp.http import fate_payloads, payloads
from chatbot_erp.http.deferred import defer, wants_deferral
from chatbot_erp.http.exchange import Request, Response
from chatbot_erp.http.history import stream_of
from chatbot_erp.http.media import json_body


class Messages:
    """What an instance sends."""

    def __init__(self, manager: Manager) -> None:
        self._manager = manager

    def on_post(self, req: Request, resp: Response, name: str) -> None:
        letter = payloads.parse(json_body(req), payloads.MessageRequest)
        if wants_deferral(req):
            defer(resp, name, self._manager.accept_text(name, letter.number, letter.message))
        else:
            resp.send(payloads.sent(self._manager.send_text(name, letter.number, letter.message)))


class OneMessage:
    """A message that an instance sent or received."""

    def __init__(self, manager: Manager) -> None:
        self._manager = manager

    def on_get(self, req: Request, resp: Response, name: str, message_id: str) -> None:
        resp.send(fate_payloads.fate(self._manager.story(stream_of(self._manager, name), message_id)))


class MessageMedia:
    """The file of a message that an instance received."""

    def __init__(self, manager: Manager) -> None:
        self._manager = manager

    def on_get(self, req: Request, resp: Response, name: str, message_id: str) -> None:
        media = self._manager.media(name, message_id)
        resp.content_type = media.mime_type
        # Never shown in place: a page that somebody sent would run as one of ours.
        resp.downloadable_as = media.name
        resp.set_stream(media.file, media.size)
