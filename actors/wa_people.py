"""Questions about people and groups, as a socket answers them: who is meant, what WhatsApp says, why it does not.

The refusals' texts are those of whatsmeow (errors.go, as of neonize 0.5.2). What is not certainly one of them stays
`refused`; only a question that got no answer at all is `unanswered`.
"""

from collections.abc import Iterable
from contextlib import suppress
from typing import assert_never

from msgspec.structs import replace

from chatbot_erp.actors import questions as q
from chatbot_erp.actors.people_frames import Ask, Reply, SocketAnswered, SocketDeclined, SocketSawBlocklist
from chatbot_erp.actors.wa_addresses import Addresses, NotOnWhatsApp
from chatbot_erp.actors.wa_client import Client, LibraryError
from chatbot_erp.actors.wa_port import Report
from chatbot_erp.actors.wa_presence import Watched
from chatbot_erp.eventstore.events import BlocklistChanged

NOT_ON_WHATSAPP = 404

_REASONS: tuple[tuple[q.Refusal, tuple[str, ...]], ...] = (
    ("unanswered", ("info query timed out", "websocket disconnected before", "context deadline exceeded")),
    ("not_connected", ("websocket not connected", "frame socket is closed", "doesn't contain a device JID", "is nil")),
    ("not_yet", ("without PushName set",)),
    ("not_on_whatsapp", ("no LID found for",)),
    (
        "not_found",
        (
            "that group does not exist",
            "does not have a profile picture",
            "status 404",
        ),
    ),
    (
        "not_permitted",
        (
            "you're not participating in that group",
            "the user has hidden their profile picture",
            "you don't have the permission",
            "status 401",
            "status 403",
            "status 405",
        ),
    ),
    ("invitation_void", ("invite link has been revoked", "invite link is not valid", "status 410")),
    ("not_accepted", ("not a valid image", "status 400", "status 406", "status 409")),
    ("too_many", ("status 429", "status 419")),
)


class People:
    """Answers one question after another. It may take as long as WhatsApp does."""

    def __init__(self, client: Client, addresses: Addresses, report: Report) -> None:
        self._client = client
        self._report = report
        self._addresses = addresses
        self.watched = Watched()

    def answer(self, order: Ask) -> Reply:
        """What WhatsApp says, or why it says nothing."""
        try:
            return SocketAnswered(request=order.request, answer=self._ask(order.question))
        except NotOnWhatsApp as ex:
            return SocketDeclined(request=order.request, reason="not_on_whatsapp", detail=str(ex))
        except LibraryError as ex:
            return SocketDeclined(request=order.request, reason=why(str(ex)), detail=str(ex).strip())

    def _ask(self, question: q.AnyQuestion) -> q.AnyAnswer:
        match question:
            case q.FindPeople(numbers=numbers):
                return q.Found(people=tuple(self._found(numbers)))
            case q.WatchPresence(who=who):
                return self._watch(self._addresses.resolve(who))
            case q.DescribePerson(who=who) | q.FetchPicture(who=who):
                return self._client.ask(replace(question, who=self._addresses.resolve(who)))
            case q.ShowActivity(chat=chat, activity=activity):
                return self.show_activity(chat, activity)
            case q.SetBlocked():
                return self._set_blocked(question)
            case q.CreateGroup(participants=participants):
                people = dict.fromkeys(self._addresses.resolve(each) for each in participants)
                return self._client.ask(replace(question, participants=tuple(people)))
            case q.ChangeMembers():
                return self._change_members(question)
            case (
                q.ListBlocked()
                | q.SetAbout()
                | q.SetPicture()
                | q.ListGroups()
                | q.DescribeGroup()
                | q.ChangeGroup()
                | q.FetchInvite()
                | q.JoinGroup()
                | q.LeaveGroup()
                | q.MarkRead()
                | q.ShowPresence()
            ):
                return self._client.ask(question)
            case _:
                assert_never(question)

    def show_activity(self, chat: str, activity: q.Activity) -> q.AnyAnswer:
        """Be seen typing, or the like. Raises `NotOnWhatsApp`, `LibraryError`."""
        return self._client.ask(q.ShowActivity(chat=self._addresses.resolve(chat), activity=activity))

    def _watch(self, who: str) -> q.AnyAnswer:
        answer = self._client.ask(q.WatchPresence(who=who))
        assert isinstance(answer, q.Watching)
        self.watched.add(answer.person)
        # How they are just now may have been told before they were known here: asked again, WhatsApp tells it again.
        return self._client.ask(q.WatchPresence(who=who))

    def _found(self, numbers: tuple[str, ...]) -> Iterable[q.Known]:
        accounts = self._addresses.look_up(numbers)
        for number in numbers:
            account = accounts[number]
            yield q.Known(
                number=number,
                jid=account.jid if account is not None else None,
                lid=account.lid if account is not None else None,
            )

    def _set_blocked(self, question: q.SetBlocked) -> q.AnyAnswer:
        """WhatsApp tells other devices of the account of it, and maybe not this one."""
        who = self._addresses.resolve(question.who)
        answer = self._client.ask(replace(question, who=who))
        assert isinstance(answer, q.Blocked)
        change = BlocklistChanged(jid=who, blocked=question.blocked, version=answer.version)
        self._report(SocketSawBlocklist(changes=(change,)))
        return answer

    def _change_members(self, question: q.ChangeMembers) -> q.AnyAnswer:
        """Each by the name the caller gave; who is not on WhatsApp does not keep the others out."""
        jids: dict[str, str] = {}
        for each in question.participants:
            with suppress(NotOnWhatsApp):
                jids[each] = self._addresses.resolve(each)
        errors: dict[str, int] = {}
        if jids:
            # Two names may be one account.
            answer = self._client.ask(replace(question, participants=tuple(dict.fromkeys(jids.values()))))
            assert isinstance(answer, q.MembersChanged)
            errors = {result.participant: result.error for result in answer.results}
        return q.MembersChanged(
            results=tuple(
                q.MemberResult(participant=each, error=errors[jids[each]] if each in jids else NOT_ON_WHATSAPP)
                for each in question.participants
            )
        )


def why(error: str) -> q.Refusal:
    """What the error of a question means."""
    return next((reason for reason, texts in _REASONS if any(text in error for text in texts)), "refused")
