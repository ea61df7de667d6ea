"""Sending."""

from chatbot_erp.actors.manager import Manager
from chatbot_erp.http import payloads
from chatbot_erp.http.exchange import Request, Response
from chatbot_erp.http.media import json_body


class Messages:
    """What an instance sends."""

    def __init__(self, manager: Manager) -> None:
        self._manager = manager

    def on_post(self, req: Request, resp: Response, name: str) -> None:
        letter = payloads.parse(json_body(req), payloads.MessageRequest)
        resp.send(payloads.sent(self._manager.send_text(name, letter.number, letter.message)))
