"""The server's end of the control connection: one request at a time on each, answered in order."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any, assert_never

import msgspec

from chatbot_erp.sandbox import (
    blows,
    control,
    control_people,
    control_presence,
    group_post,
    link_code,
    media_host,
    pairing,
    people_server,
    phone,
    presence_server,
)
from chatbot_erp.sandbox.accounts import Account
from chatbot_erp.sandbox.control import Address, Answered, CompanionReceipt, InboxMessage, PhoneView, Refused, Request
from chatbot_erp.sandbox.jid import GROUP, STATUS, digits, parse_jid
from chatbot_erp.sandbox.network import NetworkState, Unknown
from chatbot_erp.sandbox.refusals import QueryRefused

_LINE_LIMIT = 16 << 20


class ControlServer:
    """Answers the requests of `control.py`."""

    def __init__(self, network: NetworkState) -> None:
        self._network = network
        self._requests: msgspec.json.Decoder[Request] = msgspec.json.Decoder(Request)
        self.address: Address | None = None

    async def listen(self) -> tuple[asyncio.Server, int]:
        """Listen on a free port of 127.0.0.1."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=_LINE_LIMIT)
        return server, server.sockets[0].getsockname()[1]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                writer.write(msgspec.json.encode(await self._reply(line)) + b"\n")
                await writer.drain()
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    async def _reply(self, line: bytes) -> Answered | Refused:
        try:
            answer = await self._answer(self._requests.decode(line))
        except TimeoutError as ex:
            return Refused(reason=str(ex), timed_out=True)
        except (Unknown, QueryRefused, pairing.PairingFailed, ValueError) as ex:
            return Refused(reason=str(ex))
        return Answered(value=msgspec.Raw(msgspec.json.encode(answer)))

    async def _answer(self, request: Request) -> Any:
        network = self._network
        match request:
            case control.Describe():
                return self.address
            case control.RegisterPhone():
                return _view(network.register(request.number, request.name, request.lid))
            case control.Scan():
                account = network.account(request.number)
                return await _linked(pairing.scan(account, network.waiting, request.qr), request.timeout_s)
            case control.EnterCode():
                account = network.account(request.number)
                return await _linked(await link_code.enter(network, account, request.code), request.timeout_s)
            case control.Send():
                return _send(network, network.account(request.number), request)
            case control.SendAgain():
                phone.send_again(network, network.account(request.number), request.message_id)
            case control.OpenMedia():
                auth = network.media.token(network.account(request.number))
                return control.MediaAccess(host=media_host.HOSTS[0], auth=auth)
            case control.ForgetMedia():
                network.media.forget(request.direct_path)
            case control.Acknowledge():
                account = network.account(request.number)
                sender = account.senders.get(request.message_id)
                if sender is None:
                    raise Unknown(f"{account.number} has no message {request.message_id}.")
                phone.acknowledge(network, account, network.account(sender), request.message_id, request.type)
            case control.SetPolicy():
                network.account(request.number).policy = request.policy
            case control.SetEcho():
                network.account(request.number).echo = request.on
            case control.PlayFault():
                blows.play(network, request.fault, network.account(request.number) if request.number else None)
            case control.Heal():
                blows.heal(network, network.account(request.number) if request.number else None)
            case control.ReadPhone():
                return _view(network.account(request.number))
            case control.ReadInbox():
                return [m for m in network.account(request.number).inbox if m.index >= request.after]
            case control.ReadTaken():
                return list(network.account(request.number).taken)
            case control.ReadStats():
                return self._stats()
            case control.AwaitMessage():
                return await _message(network.account(request.number), request)
            case control.AwaitInbox():
                account = network.account(request.number)
                return await account.bell.wait(
                    lambda: account.received if account.received >= request.count else None,
                    request.timeout_s,
                    f"{account.number} did not get {request.count} messages",
                )
            case control.AwaitReceipt():
                return await _receipt(network.account(request.number), request)
            case control.AwaitPresence():
                await _presence(network.account(request.number), request)
            case control_people.SetProfile() | control_people.Block():
                people_server.change(network, request)
            case (
                control_people.CreateGroup()
                | control_people.ReadGroup()
                | control_people.ChangeMembers()
                | control_people.ChangeGroup()
                | control_people.JoinGroup()
                | control_people.LeaveGroup()
                | control_people.SayInGroup()
            ):
                return people_server.in_group(network, request)
            case (
                control_presence.Show()
                | control_presence.Watch()
                | control_presence.Act()
                | control_presence.Call()
                | control_presence.HangUp()
                | control_presence.AwaitSign()
            ):
                return await presence_server.answer(network, request)
            case _:
                assert_never(request)
        return None

    def _stats(self) -> control.Stats:
        network, counters = self._network, self._network.counters
        return control.Stats(
            connections=len(network.streams),
            online=sum(account.online for account in network.accounts.values()),
            accounts=len(network.accounts),
            **{name: getattr(counters, name) for name in counters.__slots__},
        )


def _view(account: Account) -> PhoneView:
    return PhoneView(
        number=account.number,
        lid=account.lid,
        name=account.name,
        online=account.online,
        companions=len(account.companions),
    )


def _send(network: NetworkState, sender: Account, request: control.Send) -> str:
    jid = parse_jid(request.to)
    if jid == STATUS:
        return group_post.post_status(network, sender, request.message)
    if jid.server == GROUP:
        return group_post.say(network, sender, network.group(jid), request.message)
    to = network.look_up(digits(request.to))
    if to is None:
        raise Unknown(f"{request.to} is not on this network; register it with network.phone().")
    return phone.send(network, sender, to, request.message)


async def _linked(done: asyncio.Future[control.Linked], timeout_s: float) -> control.Linked:
    try:
        return await asyncio.wait_for(asyncio.shield(done), timeout_s)
    except TimeoutError:
        raise TimeoutError(f"The companion did not accept the link within {timeout_s:g} s.") from None


async def _message(account: Account, request: control.AwaitMessage) -> InboxMessage:
    sender = digits(request.sender) if request.sender else None
    looked_at = request.after

    def look() -> InboxMessage | None:
        nonlocal looked_at
        for message in _newer(account, looked_at):
            looked_at = message.index + 1
            if (
                sender in (None, message.sender)
                and request.text in (None, message.text)
                and request.kind in (None, message.kind)
            ):
                return message
        return None

    wanted = f"{request.text!r}" if request.text is not None else f"a message of kind {request.kind or 'any'}"
    source = f" from {sender}" if sender else ""
    return await account.bell.wait(look, request.timeout_s, f"{account.number} did not get {wanted}{source}")


def _newer(account: Account, index: int) -> Iterable[InboxMessage]:
    """The inbox from an index on, without walking through what was looked at before."""
    inbox = account.inbox
    if not inbox:
        return ()
    return [inbox[at] for at in range(max(index - inbox[0].index, 0), len(inbox))]


async def _receipt(account: Account, request: control.AwaitReceipt) -> CompanionReceipt:
    def look() -> CompanionReceipt | None:
        for receipt in reversed(account.receipts):
            if receipt.message_id == request.message_id and request.type in (None, receipt.type):
                return receipt
        return None

    missing = f"No companion receipted the message {request.message_id} of {account.number}"
    return await account.bell.wait(look, request.timeout_s, missing)


async def _presence(account: Account, request: control.AwaitPresence) -> None:
    def look() -> bool | None:
        streams = [companion.stream for companion in account.companions.values() if companion.stream]
        return True if (account.online if request.online else not streams) else None

    missing = f"{account.number} did not {'come online' if request.online else 'go offline'}"
    await account.bell.wait(look, request.timeout_s, missing)
