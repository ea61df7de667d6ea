"""Long work shows on a terminal that it goes on, and how far it has come; nowhere else."""

import os
import subprocess
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from chatbot_erp.actors.rebuild import PAGE, past
from chatbot_erp.eventstore.addresses import canonical
from chatbot_erp.eventstore.events import InstanceCreated, MessageAccepted
from chatbot_erp.eventstore.store import EventStore, NewEvent
from chatbot_erp.eventstore.subjects import events

NUMBER = "5511987654321"
AT = datetime(2026, 11, 26, tzinfo=UTC)


def fill(directory: Path, messages: int = 0) -> EventStore:
    """An open log of one instance that has accepted so many messages for NUMBER."""
    accepted = [MessageAccepted(command_id=f"c{n}", number=NUMBER, kind="text", text="Olá") for n in range(messages)]
    facts = [InstanceCreated(name="a", webhook_url="http://127.0.0.1:9/nobody", session_from=None), *accepted]
    store = EventStore.open(directory)
    made = [NewEvent(id=f"e{n}", event=each, recorded_at=AT) for n, each in enumerate(facts)]
    store.append("stream", 0, made, snapshot=b"1").result()
    return store


def at_a_terminal(*words: str) -> tuple[str, str]:
    """What a command writes to a file as its output, and what to the terminal, which is its standard error."""
    screen, terminal = os.openpty()
    shown = bytearray()

    def watch() -> None:
        try:
            while piece := os.read(screen, 4096):
                shown.extend(piece)
        except OSError:
            """Nobody has the terminal any more."""

    watcher = threading.Thread(target=watch)
    watcher.start()
    line = [sys.executable, "-m", "chatbot_erp.actors.main", *words]
    environment = {**os.environ, "TERM": "xterm"}
    # Whatever it finds: the doctor's exit code is about this machine.
    done = subprocess.run(line, stdout=subprocess.PIPE, stderr=terminal, env=environment, timeout=300, check=False)
    os.close(terminal)
    watcher.join()
    os.close(screen)
    return done.stdout.decode(), shown.decode()


LONG_WORK: dict[tuple[str, ...], str] = {
    ("replay", "a"): "looking back",
    ("verify",): "checking",
    ("erase", NUMBER, "--yes"): "forgetting",
    ("doctor", "--port", "1"): "looking",
}


@pytest.mark.parametrize("words", LONG_WORK, ids=" ".join)
def test_long_work_is_seen_on_a_terminal_and_does_not_disturb_a_program(words: tuple[str, ...], tmp_path: Path) -> None:
    fill(tmp_path).close()
    shown, screen = at_a_terminal(*words, "--data-dir", str(tmp_path))
    assert LONG_WORK[words] in screen
    assert LONG_WORK[words] not in shown
    assert at_a_terminal(*words, "--data-dir", str(tmp_path), "--json")[1] == ""


def test_what_is_exported_goes_to_the_file_and_how_far_it_is_to_the_terminal(tmp_path: Path) -> None:
    fill(tmp_path, 2).close()
    exported, screen = at_a_terminal("export", NUMBER, "--data-dir", str(tmp_path))
    assert len(exported.splitlines()) == 2
    assert "looking" in screen


def test_a_look_back_and_an_export_tell_page_by_page_how_far_they_are(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []

    def tell(done: int, total: int) -> None:
        told.append((done, total))

    with fill(tmp_path, PAGE) as store:
        past(store, "stream", progress=tell)
        past(store, "stream", until=PAGE, progress=tell)
        assert told == [(PAGE, PAGE + 1), (PAGE, PAGE)]
        told.clear()
        found = list(events(store, store.keys.person([canonical(NUMBER)]), tell))
    assert len(found) == PAGE
    assert told == [(PAGE + 1, PAGE + 1)]
