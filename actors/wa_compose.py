"""From a content to the protobuf that WhatsApp's phones understand. Pure; only the generated protobuf code is needed."""

from typing import Any

from neonize.proto.waE2E.WAWebProtobufsE2E_pb2 import Message  # type: ignore[import-untyped]

from chatbot_erp.actors.contents import Sendable, Text


def compose(content: Sendable) -> Any:
    """The message. Raises `NotImplementedError` for a kind that cannot be sent yet."""
    match content:
        case Text(text=text):
            # Given a plain string, neonize would look for mentions in it and ask WhatsApp about each.
            return Message(conversation=text)
        case _:
            raise NotImplementedError(type(content).__name__)
