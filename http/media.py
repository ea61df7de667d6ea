"""Media types: what a body must be, and which of several forms of an answer a caller likes best."""

from falcon import MEDIA_JPEG, MEDIA_JSON

from chatbot_erp.http.exchange import Request, Response
from chatbot_erp.http.problems import NOT_ACCEPTABLE, UNSUPPORTED_MEDIA_TYPE, RequestRefused


def json_body(req: Request) -> bytes:
    """The body of a request that must be JSON. Raises `RequestRefused` if it says to be something else.

    One that does not say what it is is taken at its word: only JSON is ever expected here.
    """
    check_json(req)
    return req.body()


def check_json(req: Request) -> None:
    """Raise `RequestRefused` for a request that says to be something else than JSON."""
    kind = (req.content_type or MEDIA_JSON).partition(";")[0].strip().lower()
    if kind != MEDIA_JSON and not (kind.startswith("application/") and kind.endswith("+json")):
        raise RequestRefused(UNSUPPORTED_MEDIA_TYPE)


def jpeg_body(req: Request) -> bytes:
    """The body of a request that must be a picture. Raises `RequestRefused` if it says to be something else."""
    kind = (req.content_type or MEDIA_JPEG).partition(";")[0].strip().lower()
    if kind != MEDIA_JPEG:
        raise RequestRefused(UNSUPPORTED_MEDIA_TYPE, "The body must be a JPEG: 'Content-Type: image/jpeg'.")
    return req.body()


def choose(req: Request, resp: Response, offered: tuple[str, ...]) -> str:
    """The offered media type that the caller likes best; the first wins a draw. Raises `RequestRefused` for none."""
    resp.append_header("Vary", "Accept")
    wanted = req.client_prefers(offered)
    if wanted is None:
        raise RequestRefused(NOT_ACCEPTABLE, f"There are {', '.join(offered)}.")
    return wanted
