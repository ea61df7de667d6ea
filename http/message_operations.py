"""The row of operations.py about messages of every type."""

from chatbot_erp.actors import errors as e
from chatbot_erp.http import fate_payloads, payloads
from chatbot_erp.http import problems as p
from chatbot_erp.http.message_payloads import AnyRequest
from chatbot_erp.http.operation import BODY, MESSAGES, SEND, SENT, Operation

SEND_ANY = Operation(
    method="POST",
    path="/instances/{name}/messages",
    scope=SEND,
    tag=MESSAGES,
    summary="Send a message of any type",
    description="Answers when WhatsApp's server has acknowledged the message. A file comes as base64 (`data`), from"
    " a `url`, or in a multipart/form-data body: a part `message` with the JSON, and a part `file`."
    " `Prefer: respond-async` is as for a text.",
    body=AnyRequest,
    takes_file=True,
    answer=payloads.SentMessage,
    deferred=fate_payloads.AcceptedMessage,
    parameters=("Prefer",),
    problems=(
        *BODY,
        *SENT,
        p.BAD_REQUEST,
        p.TOO_MANY_UPLOADS,
        p.OF_ERROR[e.BadContent],
        p.OF_ERROR[e.BadMedia],
        p.OF_ERROR[e.BadMediaUrl],
        p.OF_ERROR[e.MediaTooLarge],
        p.OF_ERROR[e.MediaNotUploaded],
        p.OF_ERROR[e.MessageNotFound],
    ),
)
