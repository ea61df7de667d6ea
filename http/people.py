"""People: who is on WhatsApp, what they show, who is blocked, and what a number shows of itself."""

from msgspec import UNSET

from chatbot_erp.actors.people import People
from chatbot_erp.http import people_payloads, queries
from chatbot_erp.http.bodies import nothing_to_change, parse
from chatbot_erp.http.exchange import Request, Response
from chatbot_erp.http.media import jpeg_body, json_body


class ContactChecks:
    """Which numbers are on WhatsApp."""

    def __init__(self, people: People) -> None:
        self._people = people

    def on_post(self, req: Request, resp: Response, name: str) -> None:
        asked = parse(json_body(req), people_payloads.ContactCheckRequest)
        resp.send(people_payloads.checked(self._people.check(name, asked.numbers)))


class Persons:
    """Somebody, and their picture."""

    def __init__(self, people: People) -> None:
        self._people = people

    def on_get(self, req: Request, resp: Response, name: str, number: str) -> None:
        resp.send(people_payloads.contact(self._people.person(name, number)))

    def on_get_picture(self, req: Request, resp: Response, name: str, number: str) -> None:
        preview = queries.flag(req, "preview", usual=False)
        resp.send(people_payloads.picture(self._people.picture(name, number, preview=preview)))


class Blocklist:
    """Whom the number does not want to hear."""

    def __init__(self, people: People) -> None:
        self._people = people

    def on_get(self, req: Request, resp: Response, name: str) -> None:
        resp.send(people_payloads.blocklist(self._people.blocked(name)))

    def on_put_entry(self, req: Request, resp: Response, name: str, number: str) -> None:
        resp.send(people_payloads.blocklist(self._people.set_blocked(name, number, True)))

    def on_delete_entry(self, req: Request, resp: Response, name: str, number: str) -> None:
        resp.send(people_payloads.blocklist(self._people.set_blocked(name, number, False)))


class Profile:
    """What the number shows of itself."""

    def __init__(self, people: People) -> None:
        self._people = people

    def on_get(self, req: Request, resp: Response, name: str) -> None:
        resp.send(people_payloads.contact(self._people.own_profile(name)))

    def on_patch(self, req: Request, resp: Response, name: str) -> None:
        change = parse(json_body(req), people_payloads.ProfileChange)
        if change.about is UNSET:
            raise nothing_to_change("It is the field that can be changed.", "about")
        self._people.set_about(name, change.about)
        self.on_get(req, resp, name)

    def on_put_picture(self, req: Request, resp: Response, name: str) -> None:
        self._people.set_picture(name, None, jpeg_body(req))
        resp.status = 204
