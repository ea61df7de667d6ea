"""Twenty numbers, traffic both ways, and trouble of every kind: at the end every message is accounted for.

The suite plays one seed, so that a change is judged by what it changed; CHATBOT_ERP_CHAOS_SEED plays another (0: any), and
CHATBOT_ERP_CHAOS_S for so many seconds. The seed is printed.
"""

import os
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from chaos import CERTAINLY_NOT_SENT, Chaos, may_have_fallen
from chatbot_erp.sandbox.client import Network
from manager_process import ManagerProcess
from receiver import Receiver

NUMBERS = 20
DURATION_S = float(os.environ.get("CHATBOT_ERP_CHAOS_S", "30"))
SEED = int(os.environ.get("CHATBOT_ERP_CHAOS_SEED", "299310665")) or random.SystemRandom().randrange(1, 10**9)


@pytest.mark.timeout(300 + 3 * DURATION_S)
def test_every_message_is_accounted_for_whatever_goes_wrong(tmp_path: Path) -> None:
    print(f"\nCHATBOT_ERP_CHAOS_SEED={SEED} CHATBOT_ERP_CHAOS_S={DURATION_S:.0f}")
    with (
        Network.start() as network,
        Receiver() as receiver,
        ManagerProcess(tmp_path / "data", network, "--numbers-per-host", "4", "--no-sanity-ping") as manager,
    ):
        chaos = Chaos(SEED, manager, network, receiver)
        chaos.pair(NUMBERS)
        chaos.run(DURATION_S)
        ended = time.monotonic()
        chaos.settle()
        print(f"{sum(chaos.played.values())} faults: {dict(chaos.played)}")
        print(f"all {NUMBERS} connected {time.monotonic() - ended:.1f} s after the last fault")
        assert chaos.fought_over() == []
        check_what_was_received(chaos)
        check_what_was_sent(chaos)
        check_deliveries(chaos)
        assert manager.terminate() == 0
    verify = [sys.executable, "-m", "chatbot_erp.actors.main", "verify", "--data-dir", str(tmp_path / "data")]
    verdict = subprocess.run(verify, capture_output=True, text=True, check=False)
    assert verdict.returncode == 0, verdict.stdout + verdict.stderr


def check_what_was_received(chaos: Chaos) -> None:
    """What customers wrote is told, once each, in order, but for what a killed process had in hand."""
    total = fallen = 0
    for line in chaos.lines:
        last = f"ultima para {line.name}"
        chaos.customers[0].send(line.phone.number, last)
        chaos.receiver.wait_for(
            lambda payload, last=last: payload.get("message", {}).get("text") == last,  # type: ignore[misc]
            path=f"/{line.name}",
            timeout_s=60,
        )
        received = [each["message"]["text"] for each in chaos.told(line) if each["event"] == "message.received"]
        expected = [*line.said_to_it, last]
        lost = [text for text in expected if text not in set(received)]
        falls = chaos.falls(line)
        unexplained = [text for text in lost if not may_have_fallen(line.said_to_it[text], falls)]
        if unexplained:
            chaos.explain(line, unexplained)
        assert not unexplained, f"{len(unexplained)} messages to {line.name} were lost, {unexplained[0]!r} first"
        expected = [text for text in expected if text not in set(lost)]
        assert len(received) == len(expected), [text for text in received if received.count(text) > 1]
        for customer in (0, 1):
            mine = [text for text in expected if by(text) == customer]
            assert [text for text in received if by(text) == customer] == mine, line.name
        total += len(expected)
        fallen += len(lost)
    print(f"{total} messages received, told once each, in order; {fallen} lost with a process that was killed")


def by(text: str) -> int:
    """Bursts and last words are another thread's than the rest: between the two there is no order to keep."""
    return 1 if "rajada" in text or text.startswith("ultima") else 0


def check_what_was_sent(chaos: Chaos) -> None:
    """200: the customer has it, once. Refused: nobody has it. Otherwise the log says, and it is there once at most."""
    inboxes = chaos.inboxes()
    verdicts: dict[str, str] = {}
    for line in chaos.lines:
        texts = {}
        for event in chaos.log_of(line):
            command_id = event["data"].get("commandId")
            if event["type"] == "message.accepted":
                texts[command_id] = event["data"]["text"]
            elif command_id in texts and event["type"] != "message.outcome_unknown":
                verdicts[texts[command_id]] = event["type"]
    outcomes: dict[str, int] = {}
    for text, (_, status) in chaos.answers.items():
        count = inboxes[text]
        assert count <= 1, f"{text!r} was sent {count} times"
        if status == 200 or verdicts.get(text) == "message.sent":
            assert count == 1, f"{text!r} ({status}, {verdicts.get(text)}) was not sent"
        elif status in CERTAINLY_NOT_SENT or verdicts.get(text) == "message.failed":
            assert count == 0, f"{text!r} ({status}, {verdicts.get(text)}) was sent all the same"
        else:
            assert status in (None, 504), f"{text!r} was answered {status}"
        outcomes[str(status)] = outcomes.get(str(status), 0) + 1
    assert outcomes.get("200"), outcomes
    print(f"{len(chaos.answers)} messages sent, by answer: {dict(sorted(outcomes.items()))}")


def check_deliveries(chaos: Chaos) -> None:
    """The webhook got every number's events without a gap, in order, and an ack `read` for all that was sent."""
    acknowledged = fallen = 0
    for line in chaos.lines:
        sent = {event["data"]["messageId"]: event["data"]["text"] for event in chaos.log_of(line, "message.sent")}
        falls = chaos.falls(line)
        excused = {message_id for message_id, text in sent.items() if may_have_fallen(line.said_by_it[text], falls)}
        unread = set(sent)

        def is_read(payload: Any, unread: set[str] = unread, excused: set[str] = excused) -> bool:
            if payload["event"] == "message.ack" and payload["ack"]["status"] >= 3:
                unread.discard(payload["whatsapp"]["messageId"])
            return unread <= excused

        if sent:
            chaos.receiver.wait_for(is_read, path=f"/{line.name}", timeout_s=30)
        sequences = [each["sequence"] for each in chaos.told(line)]
        assert sequences == list(range(1, len(sequences) + 1)), line.name
        acknowledged += len(sent) - len(unread)
        fallen += len(unread)
    print(f"{acknowledged} messages acknowledged as read, deliveries without a gap")
    print(f"{fallen} whose receipt may have been lost with a process that was killed")
