"""Questions about people and groups on their way to WhatsApp, and what becomes of those that are not answered."""

import threading
from types import SimpleNamespace
from typing import Any, cast

import pytest

from chatbot_erp.actors import errors
from chatbot_erp.actors import questions as q
from chatbot_erp.actors.config import Config
from chatbot_erp.actors.house import HostGone, House
from chatbot_erp.actors.inquiries import Inquiries
from chatbot_erp.actors.people import REFUSALS, People, answer_in
from chatbot_erp.actors.people_frames import Ask, SocketAnswered, SocketDeclined
from chatbot_erp.eventstore.events import Status

BLOCK = q.SetBlocked(who="5511987654321", blocked=True)
LIST = q.ListBlocked()


class Host:
    """Takes orders and answers them at once, later, or never."""

    def __init__(self) -> None:
        self.inquiries = Inquiries(most=3, most_of_one=2)
        self.asked: list[Ask] = []
        self.answer: q.AnyAnswer | None = q.Done()
        self.gone = False

    def order(self, instance: str, ask: Ask) -> None:
        if self.gone:
            raise HostGone(instance)
        self.asked.append(ask)
        if self.answer is not None:
            self.inquiries.settle(SocketAnswered(request=ask.request, answer=self.answer))


def people(host: Host, status: Status = Status.CONNECTED) -> People:
    view = SimpleNamespace(id="i", status=status, account=None)
    directory = SimpleNamespace(view=lambda name: view)
    return People(
        cast(House, SimpleNamespace(directory=directory, switchboard=host, inquiries=host.inquiries, config=Config()))
    )


def test_an_answer_finds_the_one_who_asked() -> None:
    host = Host()
    host.answer = q.Found(people=(q.Known(number="5511987654321", jid="1@s.whatsapp.net", lid=None),))
    (known,) = people(host).check("shop", ["+55 11 98765-4321"])
    assert known == q.Known(number="+55 11 98765-4321", jid="1@s.whatsapp.net", lid=None)
    assert host.asked[0].question == q.FindPeople(numbers=("5511987654321",))


@pytest.mark.parametrize("status", [status for status in Status if status not in (Status.CONNECTED, Status.DEGRADED)])
def test_a_number_that_is_not_connected_is_not_asked(status: Status) -> None:
    host = Host()
    with pytest.raises(errors.InstanceNotOperational):
        people(host, status).groups("shop")
    assert host.asked == []


def test_a_socket_that_is_gone_says_so() -> None:
    host = Host()
    host.gone = True
    with pytest.raises(errors.InstanceNotOperational):
        people(host).groups("shop")


@pytest.mark.parametrize("reason", REFUSALS)
def test_each_refusal_is_an_error_of_its_own(reason: Any) -> None:
    with pytest.raises(REFUSALS[reason], match="because"):
        answer_in(SocketDeclined(request="r", reason=reason, detail="because"), BLOCK)


def test_a_change_without_an_answer_is_unknown_and_a_look_up_is_just_late() -> None:
    declined = SocketDeclined(request="r", reason="unanswered", detail="")
    with pytest.raises(errors.OutcomeUnknown):
        answer_in(declined, BLOCK)
    with pytest.raises(errors.Unavailable):
        answer_in(declined, LIST)
    assert set(REFUSALS) | {"unanswered"} == set(q.Refusal.__args__)  # type: ignore[attr-defined]


def test_nobody_waits_for_ever_and_a_late_answer_is_nobodys() -> None:
    host, orders = Host(), list[Ask]()
    with pytest.raises(TimeoutError):
        host.inquiries.ask("i", LIST, orders.append, patience_s=0.01)
    host.inquiries.settle(SocketAnswered(request=orders[0].request, answer=q.Done()))
    assert host.inquiries.ask("i", LIST, lambda ask: host.order("i", ask), 1.0)


def test_one_instance_cannot_hold_all_the_threads() -> None:
    inquiries = Inquiries(most=4, most_of_one=2)
    asked = threading.Semaphore(0)
    orders: list[Ask] = []

    def order(ask: Ask) -> None:
        orders.append(ask)
        asked.release()

    askers = [threading.Thread(target=inquiries.ask, args=(of, LIST, order, 60.0)) for of in ("a", "a", "b", "c")]
    for count, asker in enumerate(askers, 1):
        asker.start()
        assert asked.acquire(timeout=60)
        if count in (2, 4):
            with pytest.raises(errors.Unavailable):
                inquiries.ask("a" if count == 2 else "d", LIST, order, 0.01)
    for ask in orders:
        inquiries.settle(SocketAnswered(request=ask.request, answer=q.Done()))
    for asker in askers:
        asker.join(60)


@pytest.mark.parametrize("numbers", [[], ["nobody"], ["5511987654321@g.us"], ["5511987654321"] * 101])
def test_numbers_that_cannot_be_are_refused_before_anybody_is_asked(numbers: list[str]) -> None:
    host = Host()
    with pytest.raises(errors.BadNumber):
        people(host).check("shop", numbers)
    assert host.asked == []


@pytest.mark.parametrize("subject", ["", "  ", "x" * 101, "a\0b", "\ud800"])
def test_subjects_that_whatsapp_could_not_carry_are_refused(subject: str) -> None:
    host = Host()
    with pytest.raises(errors.BadText):
        people(host).create_group("shop", subject, [])
    with pytest.raises(errors.BadText):
        people(host).change_group("shop", q.ChangeGroup(group="12036@g.us", subject=subject))
    assert host.asked == []


@pytest.mark.parametrize("group", ["", "12036", "5511987654321@s.whatsapp.net", "12036@g.us/../x", "x@g.us"])
def test_what_is_no_group_is_refused(group: str) -> None:
    with pytest.raises(errors.BadGroup):
        people(Host()).leave("shop", group)


def test_a_participant_named_twice_is_asked_for_once_and_told_of_by_each_name() -> None:
    host = Host()
    host.answer = q.MembersChanged(results=(q.MemberResult(participant="5511987654321", error=403),))
    names = ["+5511987654321", "5511 98765 4321"]
    results = people(host).change_members("shop", "12036@g.us", "add", names)
    assert results == tuple(q.MemberResult(participant=name, error=403) for name in names)
    (ask,) = host.asked
    assert ask.question == q.ChangeMembers(group="12036@g.us", change="add", participants=("5511987654321",))
