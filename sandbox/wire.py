"""The protocol's protobufs, and the few messages that the network itself makes.

The generated module has no types, so it is loaded by name: everything made from `proto` is Any. It is loaded when it is
first used, for it takes 9 MB, and who only starts a network needs none of it.
"""

from __future__ import annotations

import random
from importlib import import_module
from typing import Any


class _Generated:
    def __getattr__(self, name: str) -> Any:
        value = self.__dict__[name] = getattr(import_module("pyaileys.proto.WAProto_pb2"), name)
        return value


proto: Any = _Generated()
DecodeError: type[Exception] = import_module("google.protobuf.message").DecodeError


def pad(plaintext: bytes) -> bytes:
    """Signal plaintexts end in 1 to 16 bytes that each say how many they are (whatsmeow, message.go)."""
    count = random.randrange(1, 17)
    return plaintext + bytes((count,)) * count


def unpad(plaintext: bytes) -> bytes:
    return plaintext[: -plaintext[-1]]


def text_message(text: str) -> bytes:
    """A text as the phone apps send it, ready for encryption except for the padding."""
    message: bytes = proto.Message(conversation=text).SerializeToString()
    return message


def sent_elsewhere(message: bytes, destination: str) -> bytes:
    """A copy of a message for the sender's other devices."""
    copy = proto.Message()
    copy.deviceSentMessage.destinationJid = destination
    copy.deviceSentMessage.message.ParseFromString(message)
    wrapped: bytes = copy.SerializeToString()
    return wrapped


def security_setting() -> bytes:
    """What a phone tells a new companion first; here it gives both sides a Signal session to work with."""
    message = proto.Message()
    message.protocolMessage.type = proto.Message.ProtocolMessage.Type.INITIAL_SECURITY_NOTIFICATION_SETTING_SYNC
    message.protocolMessage.initialSecurityNotificationSettingSync.securityNotificationEnabled = False
    out: bytes = message.SerializeToString()
    return out
