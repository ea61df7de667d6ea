"""What a test has phones do besides writing, and what it waits for them to see."""

from __future__ import annotations

from typing import assert_never

from chatbot_erp.sandbox import control_presence as words
from chatbot_erp.sandbox import presence
from chatbot_erp.sandbox.accounts import Account
from chatbot_erp.sandbox.jid import digits
from chatbot_erp.sandbox.network import NetworkState


async def answer(network: NetworkState, request: words.PresenceRequest) -> words.Sign | str | None:
    """Answers the sign that was waited for, or the id of a call."""
    account = network.account(request.number)
    match request:
        case words.Show():
            presence.show(account, account, request.there)
        case words.Watch():
            other = network.account(request.other)
            presence.watch(other, account, other.lid_jid)
        case words.Act():
            presence.act(account, network.account(request.to), request.activity)
        case words.Call():
            return presence.call(network, account, network.account(request.to), request.video)
        case words.HangUp():
            presence.hang_up(network, account, network.account(request.to), request.call_id, request.reason)
        case words.AwaitSign():
            return await _sign(account, request)
        case _:
            assert_never(request)
    return None


async def _sign(account: Account, request: words.AwaitSign) -> words.Sign:
    """The first that was not waited for before; those that came earlier are passed over."""
    sender = digits(request.sender)

    def look() -> words.Sign | None:
        for at, sign in enumerate(account.signs):
            if (sign.sender, sign.kind) == (sender, request.kind):
                for _ in range(at + 1):
                    account.signs.popleft()
                return sign
        return None

    return await account.bell.wait(
        look, request.timeout_s, f"{account.number} did not see that {sender} is {request.kind}"
    )
