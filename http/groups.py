"""Groups: founding, seeing, changing, entering and leaving them. Writing to one is sending, as to anybody."""

import msgspec

from chatbot_erp.actors.people import People
from chatbot_erp.http import people_payloads, queries
from chatbot_erp.http.bodies import nothing_to_change, parse
from chatbot_erp.http.exchange import Request, Response
from chatbot_erp.http.media import jpeg_body, json_body
from chatbot_erp.http.people_payloads import GroupChange, JoinRequest, NewGroup, ParticipantsChange


class Groups:
    """All the number is in."""

    def __init__(self, people: People) -> None:
        self._people = people

    def on_get(self, req: Request, resp: Response, name: str) -> None:
        groups = [people_payloads.group(group) for group in self._people.groups(name)]
        resp.send(sorted(groups, key=lambda group: (group.subject, group.jid)))

    def on_post(self, req: Request, resp: Response, name: str) -> None:
        new = parse(json_body(req), NewGroup)
        resp.send(people_payloads.group(self._people.create_group(name, new.subject, new.participants)), status=201)

    def on_post_join(self, req: Request, resp: Response, name: str) -> None:
        wanted = parse(json_body(req), JoinRequest)
        resp.send(people_payloads.JoinedGroup(jid=self._people.join(name, wanted.invite)))


class OneGroup:
    """One of them, by its JID."""

    def __init__(self, people: People) -> None:
        self._people = people

    def on_get(self, req: Request, resp: Response, name: str, group: str) -> None:
        resp.send(people_payloads.group(self._people.group(name, group)))

    def on_patch(self, req: Request, resp: Response, name: str, group: str) -> None:
        change = parse(json_body(req), GroupChange)
        if change == GroupChange():
            fields = [field.encode_name for field in msgspec.structs.fields(GroupChange)]
            raise nothing_to_change("It can be changed.", *fields)
        changed = self._people.change_group(name, people_payloads.change_of(group, change))
        resp.send(people_payloads.group(changed))

    def on_post_participants(self, req: Request, resp: Response, name: str, group: str) -> None:
        wanted = parse(json_body(req), ParticipantsChange)
        results = self._people.change_members(name, group, wanted.action, wanted.participants)
        resp.send(people_payloads.results(results))

    def on_get_picture(self, req: Request, resp: Response, name: str, group: str) -> None:
        preview = queries.flag(req, "preview", usual=False)
        resp.send(people_payloads.picture(self._people.group_picture(name, group, preview=preview)))

    def on_put_picture(self, req: Request, resp: Response, name: str, group: str) -> None:
        self._people.set_picture(name, group, jpeg_body(req))
        resp.status = 204

    def on_get_invite(self, req: Request, resp: Response, name: str, group: str) -> None:
        resp.send(people_payloads.Invitation(link=self._people.invite(name, group, reset=False)))

    def on_post_invite(self, req: Request, resp: Response, name: str, group: str) -> None:
        resp.send(people_payloads.Invitation(link=self._people.invite(name, group, reset=True)))

    def on_post_leave(self, req: Request, resp: Response, name: str, group: str) -> None:
        self._people.leave(name, group)
        resp.status = 204
