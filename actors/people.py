"""What callers can ask about people and groups: the synchronous, thread-safe face of one question and its answer.

Every method waits for WhatsApp and may raise, besides what it names, `InstanceNotFound`, `InstanceNotOperational`,
`NothingThere`, `NotPermitted`, `NotAccepted`, `AskedTooMuch`, `WhatsAppRefused`, `Unavailable`, and where it changes
something `OutcomeUnknown`.
"""

from collections.abc import Sequence
from typing import TypeVar, assert_never

from msgspec.structs import replace

from chatbot_erp.actors import errors, phone_numbers
from chatbot_erp.actors import questions as q
from chatbot_erp.actors.house import HostGone, House
from chatbot_erp.actors.instance import OPERATIONAL
from chatbot_erp.actors.lookup import find_received
from chatbot_erp.actors.people_frames import Ask, Reply, SocketAnswered, SocketDeclined

A = TypeVar("A", bound=q.Answer)

PATIENCE_S = 40.0
"""A little more than pauses within a long list of numbers take, a little less than callers mostly wait."""

MOST_NUMBERS = 100
MOST_PARTICIPANTS = 256
LONGEST_SUBJECT, LONGEST_DESCRIPTION, LONGEST_ABOUT = 100, 2048, 139
LONGEST_INVITE = 200
_JPEG = b"\xff\xd8\xff"


class People:
    """Of all instances; each call names one."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._region = house.config.default_region

    def check(self, name: str, numbers: Sequence[str]) -> tuple[q.Known, ...]:
        """Who is on WhatsApp, in the order asked and by the numbers as they were given. Raises `BadNumber`."""
        if not 0 < len(numbers) <= MOST_NUMBERS:
            raise errors.BadNumber(f"Ask about 1 to {MOST_NUMBERS} numbers at once.")
        digits = tuple(phone_numbers.digits(number, self._region) for number in numbers)
        found = self._ask(name, q.FindPeople(numbers=digits), q.Found)
        return tuple(replace(known, number=number) for known, number in zip(found.people, numbers, strict=True))

    def person(self, name: str, number: str) -> q.Person:
        """What somebody shows. Raises `BadNumber`, `NotOnWhatsApp`."""
        return self._ask(name, q.DescribePerson(who=self._person(number)), q.Person)

    def picture(self, name: str, number: str, *, preview: bool) -> q.Picture:
        """Where somebody's picture is. Raises `BadNumber`, `NotOnWhatsApp`."""
        return self._ask(name, q.FetchPicture(who=self._person(number), preview=preview), q.Picture)

    def blocked(self, name: str) -> tuple[q.Known, ...]:
        """Everybody this number does not want to hear."""
        return self._ask(name, q.ListBlocked(), q.Blocked).people

    def set_blocked(self, name: str, number: str, blocked: bool) -> tuple[q.Known, ...]:
        """Hear somebody no longer, or again; everybody who is blocked then. Raises `BadNumber`, `NotOnWhatsApp`."""
        return self._ask(name, q.SetBlocked(who=self._person(number), blocked=blocked), q.Blocked).people

    def own_profile(self, name: str) -> q.Person:
        """What this number itself shows."""
        account = self._house.directory.view(name).account
        if account is None:
            raise errors.InstanceNotOperational("The instance was never connected.")
        return self._ask(name, q.DescribePerson(who=account.jid), q.Person)

    def set_about(self, name: str, text: str) -> None:
        """Change this number's own "about" text. Raises `BadText`."""
        self._ask(name, q.SetAbout(text=_checked(text, LONGEST_ABOUT)), q.Done)

    def set_picture(self, name: str, group: str | None, image: bytes) -> None:
        """Change this number's own picture, or a group's. Raises `BadPicture`, `BadGroup`."""
        if not image.startswith(_JPEG):
            raise errors.BadPicture("The body is no JPEG.")
        which = phone_numbers.group(group) if group is not None else None
        self._ask(name, q.SetPicture(group=which, image=image), q.Done)

    def groups(self, name: str) -> tuple[q.Group, ...]:
        """The groups this number is in."""
        return self._ask(name, q.ListGroups(), q.Groups).groups

    def group(self, name: str, group: str) -> q.Group:
        """One of them. Raises `BadGroup`."""
        return self._ask(name, q.DescribeGroup(group=phone_numbers.group(group)), q.Group)

    def group_picture(self, name: str, group: str, *, preview: bool) -> q.Picture:
        """Where the picture of a group is. Raises `BadGroup`."""
        return self._ask(name, q.FetchPicture(who=phone_numbers.group(group), preview=preview), q.Picture)

    def create_group(self, name: str, subject: str, participants: Sequence[str]) -> q.Group:
        """Found a group. Raises `BadText`, `BadNumber`, `NotOnWhatsApp`."""
        question = q.CreateGroup(
            subject=_checked(subject, LONGEST_SUBJECT, least=1),
            participants=tuple(dict.fromkeys(self._people(participants))),
        )
        return self._ask(name, question, q.Group)

    def change_group(self, name: str, change: q.ChangeGroup) -> q.Group:
        """Change what is not None; the group as it is then. Raises `BadGroup`, `BadText`.

        One thing is changed after the other, so that a refusal may come with a part done.
        """
        if change.subject is not None:
            _checked(change.subject, LONGEST_SUBJECT, least=1)
        if change.description is not None:
            _checked(change.description, LONGEST_DESCRIPTION)
        return self._ask(name, replace(change, group=phone_numbers.group(change.group)), q.Group)

    def change_members(
        self, name: str, group: str, change: q.MemberChange, participants: Sequence[str]
    ) -> tuple[q.MemberResult, ...]:
        """Add, remove, promote or demote; what became of each, in the order asked and by the names as they were given.

        Raises `BadGroup`, `BadNumber`.
        """
        which, people = phone_numbers.group(group), self._people(participants)
        if not people:
            raise errors.BadNumber("Name at least one participant.")
        question = q.ChangeMembers(group=which, change=change, participants=tuple(dict.fromkeys(people)))
        results = {each.participant: each for each in self._ask(name, question, q.MembersChanged).results}
        return tuple(replace(results[who], participant=given) for who, given in zip(people, participants, strict=True))

    def invite(self, name: str, group: str, *, reset: bool) -> str:
        """The link by which one enters; with `reset` a new one, and the old one is void. Raises `BadGroup`."""
        return self._ask(name, q.FetchInvite(group=phone_numbers.group(group), reset=reset), q.Invite).link

    def join(self, name: str, invite: str) -> str:
        """Enter by a link or its code; the group's jid. Raises `InvitationVoid`."""
        if not 0 < len(invite) <= LONGEST_INVITE or not invite.isascii() or not invite.isprintable():
            raise errors.InvitationVoid("An invitation is a link https://chat.whatsapp.com/… or the code in it.")
        return self._ask(name, q.JoinGroup(invite=invite), q.Joined).group

    def leave(self, name: str, group: str) -> None:
        """Go. Raises `BadGroup`."""
        self._ask(name, q.LeaveGroup(group=phone_numbers.group(group)), q.Done)

    def mark_read(self, name: str, message_ids: Sequence[str], *, played: bool) -> None:
        """Tell those who wrote them that these messages were read, or played. Raises `MessageNotFound`.

        Then nothing was marked; a refusal of WhatsApp's may come with a part done.
        """
        instance = self._house.directory.view(name).id
        marks: dict[tuple[str, str], list[str]] = {}
        for message_id in dict.fromkeys(message_ids):
            message = find_received(self._house.store, instance, message_id)
            if message is None:
                raise errors.MessageNotFound(f"{name} has received no message {message_id}.")
            marks.setdefault((message.jid, message.participant or message.jid), []).append(message_id)
        for (chat, sender), ids in marks.items():
            self._ask(name, q.MarkRead(chat=chat, sender=sender, message_ids=tuple(ids), played=played), q.Done)

    def show_activity(self, name: str, chat: str, activity: q.Activity) -> None:
        """Be seen typing or recording, or to have stopped, by somebody or in a group. Raises `BadNumber`, `NotOnWhatsApp`."""
        to = phone_numbers.normalise(chat, self._region)
        self._ask(name, q.ShowActivity(chat=to, activity=activity), q.Done)

    def show_presence(self, name: str, *, available: bool) -> None:
        """Be shown as online, or not."""
        self._ask(name, q.ShowPresence(available=available), q.Done)

    def watch(self, name: str, number: str) -> None:
        """Have it on record, and told, when somebody comes, goes or types. Raises `BadNumber`, `NotOnWhatsApp`.

        WhatsApp tells it while this number is shown as online, until its connection ends.
        """
        self._ask(name, q.WatchPresence(who=self._person(number)), q.Watching)

    def _person(self, number: str) -> str:
        return phone_numbers.person(number, self._region)

    def _people(self, numbers: Sequence[str]) -> tuple[str, ...]:
        if len(numbers) > MOST_PARTICIPANTS:
            raise errors.BadNumber(f"Name at most {MOST_PARTICIPANTS} participants at once.")
        return tuple(self._person(number) for number in numbers)

    def _ask(self, name: str, question: q.AnyQuestion, kind: type[A]) -> A:
        view = self._house.directory.view(name)
        if view.status not in OPERATIONAL:
            raise errors.InstanceNotOperational(f"The instance is {view.status}, not CONNECTED or DEGRADED.")

        def order(ask: Ask) -> None:
            self._house.switchboard.order(view.id, ask)

        try:
            reply = self._house.inquiries.ask(view.id, question, order, PATIENCE_S)
        except HostGone as ex:
            raise errors.InstanceNotOperational("The socket is gone.") from ex
        except TimeoutError as ex:
            raise unanswered(question) from ex
        answer = answer_in(reply, question)
        if not isinstance(answer, kind):
            raise TypeError(f"{type(answer).__name__} is no answer to {type(question).__name__}.")
        return answer


def answer_in(reply: Reply, question: q.AnyQuestion) -> q.AnyAnswer:
    """What was answered. Raises what was declined."""
    match reply:
        case SocketAnswered(answer=answer):
            return answer
        case SocketDeclined(reason="unanswered"):
            raise unanswered(question)
        case SocketDeclined(reason=reason, detail=detail):
            raise REFUSALS[reason](detail)
        case _:
            assert_never(reply)


REFUSALS: dict[str, type[errors.ManagerError]] = {
    "not_connected": errors.InstanceNotOperational,
    "not_on_whatsapp": errors.NotOnWhatsApp,
    "not_found": errors.NothingThere,
    "not_permitted": errors.NotPermitted,
    "not_accepted": errors.NotAccepted,
    "invitation_void": errors.InvitationVoid,
    "too_many": errors.AskedTooMuch,
    "not_yet": errors.Unavailable,
    "refused": errors.WhatsAppRefused,
}


def unanswered(question: q.AnyQuestion) -> errors.ManagerError:
    """Nobody can say whether a change was made; what can be repeated is as good as not done."""
    if isinstance(question, q.REPEATABLE):
        return errors.Unavailable("WhatsApp has not answered in time.")
    return errors.OutcomeUnknown("WhatsApp has not answered in time; it may have been done.")


def _checked(text: str, longest: int, *, least: int = 0) -> str:
    if not least <= len(text.strip() if least else text) <= longest:
        raise errors.BadText(f"The text has {len(text)} characters; {least} to {longest} are allowed.")
    if "\0" in text:
        raise errors.BadText("The text holds a NUL, where WhatsApp's library would cut it off.")
    try:
        text.encode()
    except UnicodeEncodeError as ex:
        raise errors.BadText("The text is not valid Unicode (a lone surrogate).") from ex
    return text
