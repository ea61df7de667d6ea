"""Ids of events. What WhatsApp may tell twice has an id made from its natural key, so it is stored once."""

from hashlib import sha1
from uuid import UUID, uuid4

import msgspec

from chatbot_erp.actors import frames, people_frames
from chatbot_erp.actors.commands import Command, Observed, RecordVerdict, SendMessage
from chatbot_erp.eventstore.records import MAIN

_ROOT = UUID("b6f1a7a4-6c1c-5d0e-9a53-2f1f6f3f6d1e").bytes


def event_ids(instance: str, command: Command, count: int) -> list[str]:
    """One id for each of the `count` events that `command` led to."""
    if count == 0:
        # What is said of an instance that is removed is a fact as well, but nothing comes of it.
        return []
    key = natural_key(command)
    if key is None:
        return [str(uuid4()) for _ in range(count)]
    fact = named(_ROOT, f"{instance}\n{key}")
    if isinstance(command, Observed) and isinstance(command.observation, frames.SocketSawReceipt):
        receipt = command.observation
        each = [shown(named(fact, message_id)) for message_id in receipt.message_ids]
        return [*each, *(shown(named(fact, f"{receipt.message_ids[-1]}\n{n}")) for n in range(count - len(each)))]
    return [shown(fact), *(shown(named(fact, str(n))) for n in range(1, count))]


def named(namespace: bytes, name: str) -> bytes:
    """The bytes of `uuid5`, which spends most of its time on an object that nobody wants (3.4 → 1.4 µs, with `shown`)."""
    made = bytearray(sha1(namespace + name.encode(), usedforsecurity=False).digest()[:16])
    made[6] = made[6] & 0x0F | 0x50
    made[8] = made[8] & 0x3F | 0x80
    return bytes(made)


def shown(made: bytes) -> str:
    """A UUID as it is written."""
    digits = made.hex()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def natural_key(command: Command) -> str | None:
    """What makes two tellings the same fact; None where every telling is a new one."""
    match command:
        case Observed(observation=frames.SocketReceived() as seen):
            return f"received\n{seen.jid}\n{seen.participant}\n{seen.message_id}"
        case Observed(observation=frames.SocketSawEdit() as seen):
            return f"edited\n{seen.jid}\n{seen.participant}\n{seen.edit_id}"
        case Observed(observation=frames.SocketSawRevocation() as seen):
            return f"revoked\n{seen.jid}\n{seen.participant}\n{seen.message_id}"
        case Observed(observation=frames.SocketSawCall() as seen):
            return f"called\n{seen.jid}\n{seen.group}\n{seen.call_id}"
        case Observed(observation=frames.SocketCouldNotDecrypt() as seen):
            return f"undecryptable\n{seen.jid}\n{seen.participant}\n{seen.message_id}"
        case Observed(observation=frames.SocketSawReceipt() as seen):
            return f"receipt\n{seen.jid}\n{seen.participant}\n{seen.ack}"
        case Observed(observation=people_frames.SocketJoinedGroup(joined=joined, version=version)) if version:
            return f"joined\n{joined.jid}\n{version}"
        case Observed(observation=people_frames.SocketSawGroupChange(change=group_change)):
            return f"group\n{msgspec.json.encode(group_change).decode()}"
        case Observed(observation=(frames.SocketSent() | frames.SocketFailedToSend()) as seen):
            return f"verdict\n{seen.command_id}\n{type(seen).__name__}"
        case SendMessage(command_id=command_id):
            return f"accepted\n{command_id}"
        case RecordVerdict(verdict=verdict, round=0) if verdict.endpoint == MAIN:
            return f"delivery\n{verdict.sequence}"
        case RecordVerdict(verdict=verdict, round=turn):
            return f"delivery\n{verdict.sequence}\n{verdict.endpoint}\n{turn}"
        case _:
            return None
