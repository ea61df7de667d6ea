"""WhatsApp's answers about people and groups, without WhatsApp."""

from collections.abc import Callable
from typing import Any

from chatbot_erp.actors import questions as q
from chatbot_erp.actors.inquiries import Inquiries
from chatbot_erp.actors.people_frames import Reply, SocketAnswered, SocketDeclined

PERSON = q.Person(
    jid="559199999999@s.whatsapp.net",
    lid="77@lid",
    about="Ocupada",
    picture=q.Picture(id="1", url="https://pps.whatsapp.net/1"),
    push_name="Maria",
    business_name="",
    devices=2,
)
GROUP = q.Group(
    jid="120363000000000001@g.us",
    subject="Pedidos",
    description="",
    owner=PERSON.jid,
    announce=False,
    locked=True,
    ephemeral_s=0,
    members=(q.Member(jid=PERSON.jid, lid=PERSON.lid, rank="superadmin"),),
)
BLOCKED = q.Blocked(people=(q.Known(number="77@lid", jid=None, lid="77@lid"),), version="1")
ANSWERS: dict[type[q.Question], q.AnyAnswer] = {
    q.DescribePerson: PERSON,
    q.FetchPicture: q.Picture(id="1", url="https://pps.whatsapp.net/1"),
    q.ListBlocked: BLOCKED,
    q.SetBlocked: BLOCKED,
    q.SetAbout: q.Done(),
    q.SetPicture: q.Done(),
    q.ListGroups: q.Groups(groups=(GROUP,)),
    q.DescribeGroup: GROUP,
    q.CreateGroup: GROUP,
    q.ChangeGroup: GROUP,
    q.FetchInvite: q.Invite(link="https://chat.whatsapp.com/AbC"),
    q.JoinGroup: q.Joined(group=GROUP.jid),
    q.LeaveGroup: q.Done(),
    q.MarkRead: q.Done(),
    q.ShowActivity: q.Done(),
    q.ShowPresence: q.Done(),
    q.WatchPresence: q.Watching(person=q.Known(number="77@lid", jid=None, lid="77@lid")),
}


class FakeInquiries(Inquiries):
    """Answers what WhatsApp would, once `on_ask` returns; `refusal` is why it does not."""

    def __init__(self, ask: Callable[[str, str], None]) -> None:
        super().__init__()
        self.answers: dict[type[q.Question], q.AnyAnswer] = dict(ANSWERS)
        self.questions: list[q.AnyQuestion] = []
        self.refusal: q.Refusal | None = None
        self.on_ask: Callable[[], None] = lambda: None
        self._note = ask

    def ask(self, instance: str, question: q.AnyQuestion, order: Any, patience_s: float) -> Reply:
        self.questions.append(question)
        self._note(type(question).__name__, instance)
        self.on_ask()
        if self.refusal is not None:
            return SocketDeclined(request="", reason=self.refusal, detail="WhatsApp says no.")
        if isinstance(question, q.FindPeople):
            people = (q.Known(number=each, jid=f"{each}@s.whatsapp.net", lid=None) for each in question.numbers)
            return SocketAnswered(request="", answer=q.Found(people=tuple(people)))
        if isinstance(question, q.ChangeMembers):
            results = (q.MemberResult(participant=each, error=0) for each in question.participants)
            return SocketAnswered(request="", answer=q.MembersChanged(results=tuple(results)))
        return SocketAnswered(request="", answer=self.answers[type(question)])
