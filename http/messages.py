"""Sending, what became of it, and the files of what was received."""

from chatbot_erp.actors.errors import BadContent, BadMessage, BadNumber, MessageNotFound, NotOnWhatsApp
from chatbot_erp.actors.manager import Manager
from chatbot_erp.http import bodies, drafts, fate_payloads, payloads
from chatbot_erp.http.deferred import defer, wants_deferral
from chatbot_erp.http.exchange import Incoming, Request, Response
from chatbot_erp.http.history import stream_of
from chatbot_erp.http.idempotency import Spooling
from chatbot_erp.http.media import json_body
from chatbot_erp.http.problems import FieldError, RequestRefused, kind_of
from chatbot_erp.http.uploads import take_in


class Messages:
    """What an instance sends."""

    def __init__(self, manager: Manager) -> None:
        self._manager = manager

    def on_post(self, req: Request, resp: Response, name: str) -> None:
        letter = bodies.parse(json_body(req), payloads.MessageRequest)
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


class AnyMessages(Spooling):
    """What an instance sends, of any type, with the file that belongs to it."""

    def __init__(self, manager: Manager) -> None:
        self._manager = manager

    def fingerprint(self, req: Request) -> bytes:
        incoming = self._take_in(req)
        parcel = incoming.parcel
        return b"\0".join(
            (incoming.message, f"{parcel.sha256} {parcel.mime_type} {parcel.name}".encode() if parcel else b"")
        )

    def release(self, req: Request) -> None:
        if req.incoming is not None and req.incoming.parcel is not None:
            self._manager.outbox.remove(req.incoming.parcel.id)

    def on_post(self, req: Request, resp: Response, name: str) -> None:
        incoming = self._take_in(req)
        asked = drafts.parse(incoming.message)
        file = drafts.source(asked, incoming.parcel)
        # From here on the file is the manager's.
        req.incoming = None
        try:
            if wants_deferral(req):
                defer(resp, name, self._manager.accept(name, drafts.draft(asked), file))
            else:
                resp.send(payloads.sent(self._manager.send(name, drafts.draft(asked), file)))
        except (BadContent, BadMessage, BadNumber, MessageNotFound, NotOnWhatsApp) as ex:
            blamed = ex.field or ("to" if isinstance(ex, NotOnWhatsApp) else None)
            errors = [FieldError(field=blamed, location="body", detail=str(ex))] if blamed else []
            raise RequestRefused(kind_of(ex), str(ex), errors) from ex

    def _take_in(self, req: Request) -> Incoming:
        if req.incoming is None:
            req.incoming = take_in(req, self._manager.outbox)
        return req.incoming


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
