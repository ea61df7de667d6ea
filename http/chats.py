"""What a number shows of itself in its chats: what it has read, that it types, that it is there."""

from chatbot_erp.actors.people import People
from chatbot_erp.http import chat_payloads
from chatbot_erp.http.bodies import parse
from chatbot_erp.http.exchange import Request, Response
from chatbot_erp.http.media import json_body


class ReadMarks:
    """Messages that were read: one of them, or a list."""

    def __init__(self, people: People) -> None:
        self._people = people

    def on_post(self, req: Request, resp: Response, name: str) -> None:
        marks = parse(json_body(req), chat_payloads.ReadRequest)
        self._people.mark_read(name, marks.message_ids, played=marks.played)
        resp.status = 204

    def on_post_one(self, req: Request, resp: Response, name: str, message_id: str) -> None:
        self._people.mark_read(name, (message_id,), played=False)
        resp.status = 204


class Presences:
    """That the number types in a chat, that it is there at all, and that it wants to know this of somebody."""

    def __init__(self, people: People) -> None:
        self._people = people

    def on_put(self, req: Request, resp: Response, name: str) -> None:
        wanted = parse(json_body(req), chat_payloads.PresenceRequest)
        self._people.show_presence(name, available=wanted.state == "available")
        resp.status = 204

    def on_post_chat(self, req: Request, resp: Response, name: str, chat: str) -> None:
        wanted = parse(json_body(req), chat_payloads.ActivityRequest)
        self._people.show_activity(name, chat, wanted.state)
        resp.status = 204

    def on_post_contact(self, req: Request, resp: Response, name: str, number: str) -> None:
        self._people.watch(name, number)
        resp.status = 204
