"""Appends from several threads through the real store until somebody kills it; says what was acknowledged.

Usage: crash_child.py DIRECTORY THREADS [DATABASE]. Each line on stdout is `stream version id`, written after the future resolved.
"""

import os
import sys
import threading
import uuid
from datetime import UTC, datetime
from pathlib import Path

from chatbot_erp.eventstore.events import MessageAccepted, MessageSent, WebhookDelivered
from chatbot_erp.eventstore.postgres_store import open_store
from chatbot_erp.eventstore.store import EventStore, NewEvent, Settings


def say(line: str) -> None:
    os.write(1, line.encode())  # one write, shorter than PIPE_BUF: never torn


def append_for_ever(store: EventStore, stream: str, version: int) -> None:
    now = datetime.now(UTC)
    while True:
        text = "x" * (version * 37 % 3000)
        sent = MessageSent(command_id="c", message_id="m", jid="j", kind="text", text=text, sent_at=now)
        told = WebhookDelivered(sequence=version // 3 + 1, attempts=1, http_status=200)
        accepted = MessageAccepted(command_id="c", number="1", kind="text", text=text)
        events = [NewEvent(id=str(uuid.uuid4()), event=event, recorded_at=now) for event in (accepted, sent, told)]
        appended = store.append(stream, version, events, snapshot=b"state" * (version % 50)).result()
        version = appended.version
        for record in appended.records:
            say(f"{stream} {record.version} {record.id}\n")


def main() -> None:
    directory, settings = Path(sys.argv[1]), Settings(checkpoint_events=50)
    store = open_store(sys.argv[3], directory, settings) if sys.argv[3:] else EventStore.open(directory, settings)
    versions = {head.stream: head.version for head in store.open_streams()}
    for n in range(int(sys.argv[2])):
        stream = f"stream-{n}"
        known = versions.get(stream)
        if known is None:
            known = len(store.read(stream=stream, limit=1_000_000))
        threading.Thread(target=append_for_ever, args=(store, stream, known)).start()
    say("ready\n")


main()
