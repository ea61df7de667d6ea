"""What a test has phones do to each other and in groups, besides writing messages."""

from __future__ import annotations

from typing import assert_never

from chatbot_erp.sandbox import blocklist, group_post, group_queries, profiles
from chatbot_erp.sandbox import control_people as words
from chatbot_erp.sandbox.accounts import Account
from chatbot_erp.sandbox.control_people import GroupView, MemberView
from chatbot_erp.sandbox.groups import Group
from chatbot_erp.sandbox.jid import digits, parse_jid
from chatbot_erp.sandbox.network import NetworkState
from chatbot_erp.sandbox.nodes import Node
from chatbot_erp.sandbox.wire import text_message


def change(network: NetworkState, request: words.SetProfile | words.Block) -> None:
    """What a number shows of itself, and to whom it listens."""
    account = network.account(request.number)
    match request:
        case words.SetProfile():
            if request.about is not None:
                account.about = request.about
            if request.picture is not None:
                account.picture = profiles.new_picture(request.picture)
            if request.picture_hidden is not None:
                account.picture_hidden = request.picture_hidden
            if request.joins_when_added is not None:
                account.joins_when_added = request.joins_when_added
        case words.Block():
            blocklist.change(network, account, network.account(request.other), request.blocked)
        case _:
            assert_never(request)


def in_group(network: NetworkState, request: words.GroupRequest) -> GroupView | str | None:
    """Answers the group where there is one to show, or the id of what was said."""
    if isinstance(request, words.ReadGroup):
        return _view(network.group(parse_jid(request.group)))
    account = network.account(request.number)
    match request:
        case words.CreateGroup():
            others = [network.account(number) for number in request.members]
            return _view(group_queries.found(network, account, request.subject, others))
        case words.JoinGroup():
            group = group_queries.invited(network, request.invite.rpartition("/")[2])
            group_queries.join(network, account, group)
            return _view(group)
        case words.LeaveGroup():
            network.group(parse_jid(request.group)).leave(network, account)
            return None
        case words.SayInGroup():
            return group_post.say(network, account, network.group(parse_jid(request.group)), text_message(request.text))
        case words.ChangeMembers():
            group = network.group(parse_jid(request.group))
            wanted = [network.look_up(digits(number)) for number in request.others]
            group.change_members(network, account, request.change, wanted)
            return _view(group)
        case words.ChangeGroup():
            group = network.group(parse_jid(request.group))
            _change(network, account, group, request)
            return _view(group)
        case _:
            assert_never(request)


def _change(network: NetworkState, account: Account, group: Group, request: words.ChangeGroup) -> None:
    if request.subject is not None:
        group.rename(network, account, request.subject)
    if request.description is not None:
        previous = group.description.id if group.description else ""
        group.describe(network, account, request.description, network.new_message_id(), previous)
    if request.announce is not None:
        group.set(network, account, Node("announcement" if request.announce else "not_announcement"))
    if request.locked is not None:
        group.set(network, account, Node("locked" if request.locked else "unlocked"))


def _view(group: Group) -> GroupView:
    return GroupView(
        jid=str(group.jid),
        subject=group.subject.text,
        description=group.description.text if group.description else "",
        announce=group.announce,
        locked=group.locked,
        ephemeral_s=group.ephemeral_s,
        picture_id=group.picture.id if group.picture else None,
        invite=group.invite,
        members=[MemberView(number=m.account.number, rank=m.rank) for m in group.members.values()],
    )
