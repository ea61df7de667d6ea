"""What can go wrong on purpose.

A blow happens once, at the moment it is played. A condition lasts until it is healed (or has been used up, where it
counts). Both are aimed at one number, or at the whole network when no number is given.
"""

from __future__ import annotations

import msgspec


class _Fault(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    pass


class Drop(_Fault, frozen=True):
    """Blow: the TCP connection is reset, without a word."""


class StreamError(_Fault, frozen=True):
    """Blow: the server ends the stream with `<stream:error code=…>`. whatsmeow reconnects by itself after a 503."""

    code: int = 503


class Replaced(_Fault, frozen=True):
    """Blow: another client took the session over (`<stream:error code=440><conflict type=replaced>`)."""


class LoggedOut(_Fault, frozen=True):
    """Blow: the phone unlinked its companions (`<stream:error code=401><conflict type=device_removed>`).

    A companion that is away learns it from `<failure reason=401>` at its next login.
    """


class Undecryptable(_Fault, frozen=True):
    """Blow: a message arrives that the companion cannot decrypt.

    With `recoverable` the sender's phone answers the companion's retry receipt with a readable copy of `text`.
    """

    sender: str
    text: str = "readable at last"
    recoverable: bool = True


class Amnesia(_Fault, frozen=True):
    """Blow: every phone forgets its Signal sessions with this number's companions, as after a restored backup.

    The next message of the companion cannot be read; the phone sends a retry receipt, and gets it again.
    """


class Burst(_Fault, frozen=True):
    """Blow: `count` messages from `sender` at once. Their texts are `text` with `{n}` replaced by 1, 2, 3, …"""

    sender: str
    count: int
    text: str = "burst {n}"


class Refuse(_Fault, frozen=True):
    """Condition: nobody gets in. For the whole network the proxy answers 503, `times` times or until healed.

    The proxy cannot know whose connection it is asked for. Aimed at one number, the connection is therefore reset as
    soon as its login says who is calling.
    """

    times: int | None = None


class Silence(_Fault, frozen=True):
    """Condition: the connection stands and nothing comes back: no acks, no answers, not even to keep-alives.

    What the companion says meanwhile is lost. What others send to it is kept, and delivered when the silence is healed.
    """


class LoginFailure(_Fault, frozen=True):
    """Condition: the login is answered with `<failure reason=…>`, `times` times or until healed.

    Reasons as whatsmeow names them (types/events): 401 logged out, 402 banned for a time (`expire_s` seconds, `code`
    says why), 403 locked, 405 client outdated, 406 banned for unknown reasons, 500 and 503 the server's own trouble.
    """

    reason: int
    expire_s: int | None = None
    code: int = 101
    times: int | None = None


class SlowAcks(_Fault, frozen=True):
    """Condition: what the companion sends is accepted (and acknowledged) `delay_s` seconds late."""

    delay_s: float


class RefuseSend(_Fault, frozen=True):
    """Condition: messages of the companion are answered with `<ack error=…>` and delivered to nobody."""

    error: int = 479
    times: int | None = None


class DuplicateReceipts(_Fault, frozen=True):
    """Condition: the companion gets every receipt `copies` times."""

    copies: int = 2


class ReversedReceipts(_Fault, frozen=True):
    """Condition: the companion gets the receipts of a message in the wrong order: read before delivered."""


Blow = Drop | StreamError | Replaced | LoggedOut | Undecryptable | Amnesia | Burst
Condition = Refuse | Silence | LoginFailure | SlowAcks | RefuseSend | DuplicateReceipts | ReversedReceipts
Fault = Blow | Condition
