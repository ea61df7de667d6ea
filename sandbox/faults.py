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
    """Blow: the server ends the stream with `<stream:error code=…>`. whatsmeow reconnects by itself after a 503.

    Without `hang_up` the connection stays as it is. A client that does not know the code is a zombie then: connected,
    but no longer logged in by its own account.
    """

    code: int = 503
    hang_up: bool = True


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


class Unavailable(_Fault, frozen=True):
    """Blow: a message arrives whose text this companion is not to have, with `<unavailable>` in its place. `kind` is
    "view_once" as WhatsApp has it today."""

    sender: str
    kind: str = "view_once"


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

    With `reset` it resets the connection instead. The proxy cannot know whose connection it is asked for: aimed at one
    number, the connection is reset as soon as its login says who is calling.
    """

    times: int | None = None
    reset: bool = False


class HangDial(_Fault, frozen=True):
    """Condition: who dials is taken and never answered, `times` times or until healed. For the whole network only: whose
    call it is nobody knows yet.
    """

    times: int | None = None


class CutShort(_Fault, frozen=True):
    """Condition: who logs in is let in, and the connection is reset `after_s` seconds later."""

    after_s: float = 0.1


class Silence(_Fault, frozen=True):
    """Condition: the connection stands and nothing comes back: no acks, no answers, not even to keep-alives.

    What the companion says meanwhile is lost. What others send to it is kept, and delivered when the silence is healed.
    """


class LoginFailure(_Fault, frozen=True):
    """Condition: the login is answered with `<failure reason=…>`, `times` times or until healed.

    Reasons as whatsmeow names them (types/events): 401 logged out, 402 banned for a time (`code` says why, `expire_s` for
    how many seconds, if it is told), 403 locked, 405 client outdated, 406 banned for unknown reasons, 500 and 503 the
    server's own trouble.
    """

    reason: int
    expire_s: int | None = None
    code: int = 101
    times: int | None = None


class ForgedLink(_Fault, frozen=True):
    """Condition: the phone's proof that it saw the code of a new companion is wrong. The companion refuses the link."""


class SlowAcks(_Fault, frozen=True):
    """Condition: what the companion sends is accepted (and acknowledged) `delay_s` seconds late, or when that is healed."""

    delay_s: float


class RefuseSend(_Fault, frozen=True):
    """Condition: messages of the companion are answered with `<ack error=…>` and delivered to nobody."""

    error: int = 479
    times: int | None = None


class RefuseMedia(_Fault, frozen=True):
    """Condition: the media hosts answer with this status, `times` times or until healed.

    Aimed at one number it hits what that number uploads, and what others download of it. whatsmeow tries a download
    again after 408, 429 and 5xx, and gives up at once after 403, 404 and 410.
    """

    status: int = 503
    times: int | None = None


class CutMedia(_Fault, frozen=True):
    """Condition: the connection ends after this many bytes of an up- or download, `times` times or until healed. Aimed
    as `RefuseMedia`; whatsmeow then tries to download from the next host, of which there are two."""

    after: int = 1000
    times: int | None = None


class DuplicateReceipts(_Fault, frozen=True):
    """Condition: the companion gets every receipt `copies` times."""

    copies: int = 2


class ReversedReceipts(_Fault, frozen=True):
    """Condition: the companion gets the receipts of a message in the wrong order: read before delivered."""


Blow = Drop | StreamError | Replaced | LoggedOut | Undecryptable | Unavailable | Amnesia | Burst
Condition = (
    Refuse
    | HangDial
    | CutShort
    | Silence
    | LoginFailure
    | ForgedLink
    | SlowAcks
    | RefuseSend
    | RefuseMedia
    | CutMedia
    | DuplicateReceipts
    | ReversedReceipts
)
Fault = Blow | Condition
