"""The row of operations.py about messages of every type."""

from chatbot_erp.actors import errors as e
from chatbot_erp.eventstore import errors as store
from chatbot_erp.http import payloads
from chatbot_erp.http import problems as p
from chatbot_erp.http.message_payloads import AnyRequest
from chatbot_erp.http.operation import BODY, KEYED, MESSAGES, ONE, SEND, Operation

SEND_ANY = Operation(
    method="POST",
    path="/instances/{name}/messages",
    scope=SEND,
    tag=MESSAGES,
    summary="Send a message of any type",
    description="Answers when WhatsApp's server has acknowledged the message. A file comes as base64 (`data`), from"
    " a `url`, or in a multipart/form-data body: a part `message` with the JSON, and a part `file`.",
    body=AnyRequest,
    takes_file=True,
    answer=payloads.SentMessage,
    problems=(
        *BODY,
        p.BAD_REQUEST,
        p.TOO_MANY_UPLOADS,
        *ONE,
        *KEYED,
        p.OF_ERROR[e.BadNumber],
        p.OF_ERROR[e.BadMessage],
        p.OF_ERROR[e.BadContent],
        p.OF_ERROR[e.BadMedia],
        p.OF_ERROR[e.BadMediaUrl],
        p.OF_ERROR[e.MediaTooLarge],
        p.OF_ERROR[e.MessageNotFound],
        p.OF_ERROR[e.InstanceNotOperational],
        p.OF_ERROR[e.NotOnWhatsApp],
        p.OF_ERROR[e.WhatsAppRefused],
        p.OF_ERROR[store.NotStorable],
    ),
)
