"""`Prefer: respond-async` (RFC 7240): a send is answered when it is on record, not when WhatsApp has it."""

import msgspec

from chatbot_erp.http.exchange import Request, Response
from chatbot_erp.http.fate_payloads import AcceptedMessage, accepted

ACCEPTED = 202


def wants_deferral(req: Request) -> bool:
    """Whether the caller does not wait for the outcome."""
    wishes = (req.get_header("Prefer") or "").split(",")
    return any(wish.partition(";")[0].strip().lower() == "respond-async" for wish in wishes)


def defer(resp: Response, name: str, command_id: str) -> None:
    """Answer that the message with this command id is on record, and where its fate can be seen."""
    answer = accepted(name, command_id)
    resp.send(answer, status=ACCEPTED)
    _point_to(resp, answer)


def defer_again(resp: Response, body: bytes) -> None:
    """What `defer` says beside the body, for an answer that is repeated; nothing for one that says something else."""
    try:
        _point_to(resp, msgspec.json.decode(body, type=AcceptedMessage))
    except msgspec.MsgspecError:
        return


def _point_to(resp: Response, answer: AcceptedMessage) -> None:
    resp.location = answer.location
    resp.set_header("Preference-Applied", "respond-async")
