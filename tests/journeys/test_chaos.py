"""Twenty numbers, traffic both ways, and trouble of every kind: at the end every message is accounted for.

The suite plays one seed, so that a change is judged by what it changed; CHATBOT_ERP_CHAOS_SEED plays another (0: any), and
CHATBOT_ERP_CHAOS_S for so many seconds. The seed is printed. From 120 s on there are silences that outlast the watchdogs.
"""

import os
import random
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from chaos import CERTAINLY_NOT_SENT, Chaos, holders_of
from chatbot_erp.sandbox.client import Network
from manager_process import ManagerProcess
from receiver import Receiver

NUMBERS = 20
PATIENCE_S = 90
VERDICTS = ("message.sent", "message.failed", "message.outcome_unknown")
DURATION_S = float(os.environ.get("CHATBOT_ERP_CHAOS_S", "20"))
SEED = int(os.environ.get("CHATBOT_ERP_CHAOS_SEED", "299310665")) or random.SystemRandom().randrange(1, 10**9)
FRAIL = (str(Path(__file__).parents[1] / "support" / "frail_manager.py"),)


@pytest.mark.timeout(600 + 3 * DURATION_S)
def test_every_message_is_accounted_for_whatever_goes_wrong(tmp_path: Path) -> None:
    print(f"\nCHATBOT_ERP_CHAOS_SEED={SEED} CHATBOT_ERP_CHAOS_S={DURATION_S:.0f}")
    data = tmp_path / "data"
    with (
        Network.start() as network,
        Receiver() as receiver,
        ManagerProcess(data, network, "--numbers-per-host", "4", "--no-sanity-ping", program=FRAIL) as manager,
    ):
        chaos = Chaos(SEED, manager, network, receiver)
        chaos.pair(NUMBERS)
        chaos.run(DURATION_S)
        ended = time.monotonic()
        chaos.settle()
        print(f"{sum(chaos.played.values())} faults: {dict(chaos.played)}")
        print(f"settled {time.monotonic() - ended:.1f} s after the last fault; causes: {dict(chaos.causes())}")
        assert chaos.fought_over() == []
        check_what_was_received(chaos)
        check_what_was_sent(chaos)
        check_deliveries(chaos)
        check_what_is_held(chaos)
        assert manager.terminate() == 0
        assert holders_of(data) == []
    assert [path.name for place in ("spool", "parked") for path in (data / place).glob("*")] == []
    verify = [sys.executable, "-m", "chatbot_erp.actors.main", "verify", "--data-dir", str(data)]
    verdict = subprocess.run(verify, capture_output=True, text=True, check=False)
    assert verdict.returncode == 0, verdict.stdout + verdict.stderr


def check_what_was_received(chaos: Chaos) -> None:
    """What customers wrote is told, once each, in order.

    Missing may be only what the network proves to have been taken by a process that was killed at that moment, or not
    to have been taken by a number that is lost for good.
    """
    total = fallen = waiting = 0
    for line in chaos.lines:
        expected = list(line.said_to_it)
        if line.doom is None:
            expected.append(f"ultima para {line.name}")
            chaos.customers[0].send(line.phone.number, expected[-1])
        excused = line.lost_messages()
        certain = [text for text in expected if text not in excused]
        if certain:
            chaos.wait_told(line, set(certain))
        received = [each["message"]["text"] for each in chaos.told(line) if each["event"] == "message.received"]
        assert [text for text, count in Counter(received).items() if count > 1] == [], line.name
        assert set(received) <= set(expected), line.name
        for customer in (0, 1):
            mine = [text for text in expected if by(text) == customer and text in set(received)]
            assert [text for text in received if by(text) == customer] == mine, line.name
        total += len(received)
        lost = len(expected) - len(received)
        fallen += lost if line.doom is None else 0
        waiting += lost if line.doom is not None else 0
    print(f"{total} messages received, told once each, in order")
    print(f"{fallen} lost with a process that was killed when it had just acknowledged them")
    print(f"{waiting} not taken by numbers that are lost for good")


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
            if command_id in texts:
                verdicts[texts[command_id]] = event["type"]
    assert [text for text, verdict in verdicts.items() if verdict not in VERDICTS] == [], "without a verdict"
    assert set(inboxes) <= set(verdicts), "sent without having been recorded before"
    outcomes: Counter[str] = Counter()
    for text, (_, status) in chaos.answers.items():
        count, verdict = inboxes[text], verdicts.get(text)
        assert count <= 1, f"{text!r} was sent {count} times"
        if status == 200 or verdict == "message.sent":
            assert count == 1, f"{text!r} ({status}, {verdict}) was not sent"
            assert verdict == "message.sent", f"{text!r} was sent, but the log says {verdict}"
        elif status in CERTAINLY_NOT_SENT or verdict in ("message.failed", None):
            assert count == 0, f"{text!r} ({status}, {verdict}) was sent all the same"
        else:
            assert status in (None, 504), f"{text!r} was answered {status}"
        outcomes[f"{status} {verdict or 'not recorded'}"] += 1
    print(f"{len(chaos.answers)} messages sent, by answer and verdict: {dict(sorted(outcomes.items()))}")


def check_deliveries(chaos: Chaos) -> None:
    """The webhook got every number's events without a gap, in order, and an ack `read` for all that was sent."""
    acknowledged = missing = 0
    for line in chaos.lines:
        sent = {event["data"]["messageId"] for event in chaos.log_of(line, "message.sent")}
        excused = line.lost_reads(sent)
        unread = set(sent)

        def is_read(payload: Any, unread: set[str] = unread, excused: set[str] = excused) -> bool:
            if payload["event"] == "message.ack" and payload["ack"]["status"] >= 3:
                unread.discard(payload["whatsapp"]["messageId"])
            return unread <= excused

        if sent - excused:
            chaos.receiver.wait_for(is_read, path=f"/{line.name}", timeout_s=PATIENCE_S)
        sequences = [each["sequence"] for each in chaos.told(line)]
        assert sequences == list(range(1, len(sequences) + 1)), line.name
        acknowledged += len(sent) - len(unread)
        missing += len(unread)
    print(f"{acknowledged} messages acknowledged as read, deliveries without a gap")
    print(f"{missing} whose receipt was lost with a process that had just acknowledged it, or was not taken")


def check_what_is_held(chaos: Chaos) -> None:
    """No socket process is left that carries nobody; what the manager itself has open is for the reader to compare."""
    manager = chaos.manager
    assert chaos.idle_hosts() == []
    descriptors, threads = (len(os.listdir(f"/proc/{manager.pid}/{place}")) for place in ("fd", "task"))
    print(f"{len(manager.host_pids())} socket processes, {descriptors} descriptors, {threads} threads")
