"""How a socket answers questions: who is meant, and what whatsmeow's errors mean."""

from pathlib import Path
from typing import Any

import pytest

from chatbot_erp.actors import questions as q
from chatbot_erp.actors.people_frames import Ask, SocketAnswered, SocketDeclined, SocketSawBlocklist
from chatbot_erp.actors.wa_addresses import Addresses
from chatbot_erp.actors.wa_client import Hearing
from chatbot_erp.actors.wa_people import People, why
from fake_client import FakeClient


def nothing(_: Any) -> None:
    """Hears and does nothing."""


def world() -> tuple[FakeClient, People, list[Any]]:
    client, seen = (
        FakeClient(Path(), Hearing(event=nothing, garbled=nothing, qr=nothing, login_word=nothing)),
        list[Any](),
    )
    return client, People(client, Addresses(client), seen.append), seen


def answer(people: People, question: q.AnyQuestion) -> q.AnyAnswer:
    reply = people.answer(Ask(instance="i", request="r", question=question))
    assert isinstance(reply, SocketAnswered), reply
    return reply.answer


def test_people_go_to_the_library_by_the_jid_whatsapp_knows() -> None:
    client, people, _ = world()
    client.answers = [q.Picture(id="1", url="u")]
    answer(people, q.FetchPicture(who="5511"))
    assert client.questions == [q.FetchPicture(who="5511@s.whatsapp.net")]


def test_who_is_not_on_whatsapp_does_not_keep_the_others_out() -> None:
    client, people, _ = world()
    client.answers = [q.MembersChanged(results=(q.MemberResult(participant="5511@s.whatsapp.net", error=0),))]
    changed = answer(people, q.ChangeMembers(group="1@g.us", change="add", participants=("404", "5511")))
    assert changed == q.MembersChanged(
        results=(q.MemberResult(participant="404", error=404), q.MemberResult(participant="5511", error=0))
    )
    assert client.questions == [
        q.ChangeMembers(group="1@g.us", change="add", participants=("5511@s.whatsapp.net",)),
    ]


def test_two_names_of_one_account_are_asked_for_once_and_each_is_told_of() -> None:
    client, people, _ = world()
    client.answers = [q.MembersChanged(results=(q.MemberResult(participant="5511@s.whatsapp.net", error=409),))]
    changed = answer(
        people, q.ChangeMembers(group="1@g.us", change="add", participants=("5511", "5511@s.whatsapp.net"))
    )
    assert changed == q.MembersChanged(
        results=tuple(q.MemberResult(participant=each, error=409) for each in ("5511", "5511@s.whatsapp.net"))
    )
    assert client.questions == [
        q.ChangeMembers(group="1@g.us", change="add", participants=("5511@s.whatsapp.net",)),
    ]


def test_where_nobody_is_on_whatsapp_nobody_is_changed() -> None:
    client, people, _ = world()
    answer(people, q.ChangeMembers(group="1@g.us", change="add", participants=("404",)))
    assert client.questions == []


def test_a_group_is_not_founded_without_one_who_was_named() -> None:
    client, people, _ = world()
    reply = people.answer(Ask(instance="i", request="r", question=q.CreateGroup(subject="x", participants=("404",))))
    assert isinstance(reply, SocketDeclined)
    assert reply.reason == "not_on_whatsapp"
    assert client.questions == []


def test_blocking_somebody_is_told_to_the_log() -> None:
    client, people, seen = world()
    client.answers = [q.Blocked(people=(), version="7"), q.Blocked(people=(), version="8")]
    answer(people, q.SetBlocked(who="5511", blocked=True))
    answer(people, q.SetBlocked(who="5511", blocked=False))
    assert [type(each) for each in seen] == [SocketSawBlocklist, SocketSawBlocklist]
    assert [(change.jid, change.blocked, change.version) for each in seen for change in each.changes] == [
        ("5511@s.whatsapp.net", True, "7"),
        ("5511@s.whatsapp.net", False, "8"),
    ]


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        ("info query timed out", "unanswered"),
        ('b"can\'t send presence without PushName set"', "not_yet"),
        ("websocket disconnected before info query returned response", "unanswered"),
        ("websocket not connected", "not_connected"),
        ("client is nil", "not_connected"),
        ("you're not participating in that group", "not_permitted"),
        ("info query returned status 403: forbidden", "not_permitted"),
        ("that group does not exist", "not_found"),
        ('Error: "that user or group does not have a profile picture"\n', "not_found"),
        ('Error: "the user has hidden their profile picture from you"\n', "not_permitted"),
        ("that group invite link has been revoked", "invitation_void"),
        ("the given data is not a valid image", "not_accepted"),
        ("info query returned status 406: not-acceptable", "not_accepted"),
        ("info query returned status 429: rate-overlimit", "too_many"),
        ("info query returned status 500: internal-server-error", "refused"),
        ("something new", "refused"),
    ],
)
def test_what_an_error_means(error: str, reason: str) -> None:
    assert why(error) == reason
