"""Playing the faults of `faults.py`."""

from __future__ import annotations

from typing import assert_never

from chatbot_erp.sandbox import phone
from chatbot_erp.sandbox.accounts import Account
from chatbot_erp.sandbox.faults import (
    Amnesia,
    Blow,
    Burst,
    Condition,
    Drop,
    Fault,
    LoggedOut,
    Replaced,
    SlowAcks,
    StreamError,
    Unavailable,
    Undecryptable,
)
from chatbot_erp.sandbox.network import NetworkState
from chatbot_erp.sandbox.queries import unlink
from chatbot_erp.sandbox.stream import Stream
from chatbot_erp.sandbox.wire import text_message


def play(network: NetworkState, fault: Fault, account: Account | None) -> None:
    """A fault on one account, or on everybody."""
    if isinstance(fault, Condition):
        (account or network).conditions.impose(fault)
    elif account is not None:
        _strike(network, fault, account)
    elif isinstance(fault, Drop):
        # Clients that are still pairing belong to nobody, and lose their connection all the same.
        for stream in tuple(network.streams):
            stream.abort()
    else:
        for each in tuple(network.accounts.values()):
            _strike(network, fault, each)


def heal(network: NetworkState, account: Account | None) -> None:
    """End the lasting faults of one account, or all of them."""
    for each in [account] if account else network.accounts.values():
        each.conditions.heal()
    if account is None:
        network.conditions.heal()
    for stream in tuple(network.streams):
        if not stream.silent:
            stream.release()
        if stream.companion is not None and stream.companion.account.conditions.get(SlowAcks) is None:
            stream.hurry()


def _strike(network: NetworkState, blow: Blow, account: Account) -> None:
    streams = _streams(account)
    match blow:
        case Drop():
            for stream in streams:
                stream.abort()
        case StreamError(code=code, hang_up=hang_up):
            for stream in streams:
                stream.end(code) if hang_up else stream.complain(code)
        case Replaced():
            for stream in streams:
                stream.end(440, "replaced")
        case LoggedOut():
            for companion in tuple(account.companions.values()):
                unlink(account, companion)
            for stream in streams:
                stream.end(401, "device_removed")
        case Undecryptable(sender=sender, text=text, recoverable=recoverable):
            phone.send_unreadable(network, network.account(sender), account, text, recoverable)
        case Unavailable(sender=sender, kind=kind):
            phone.send_unavailable(network, network.account(sender), account, kind)
        case Amnesia():
            for each in network.accounts.values():
                each.forget(account)
        case Burst(sender=sender, count=count, text=text):
            source = network.account(sender)
            for number in range(1, count + 1):
                phone.send(network, source, account, text_message(text.replace("{n}", str(number))))
        case _:
            assert_never(blow)


def _streams(account: Account) -> list[Stream]:
    return [companion.stream for companion in account.companions.values() if companion.stream is not None]
