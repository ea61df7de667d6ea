"""Twenty numbers, traffic both ways, and trouble of every kind: at the end every message is accounted for.

The suite plays everything once, in the order of one seed, so that a change is judged by what it changed;
CHATBOT_ERP_CHAOS_SEED plays another (0: any), and CHATBOT_ERP_CHAOS_S goes on for so many seconds. The seed is printed.
From 120 s on there are silences that outlast the watchdogs.
"""

import os
import random
import time
from collections import Counter
from pathlib import Path

import pytest

from chaos import Chaos, holders_of
from chaos_accounts import Books, lost_acks, lost_messages
from chatbot_erp.sandbox.client import Network
from fault_matrix import IN_FILES
from manager_process import ManagerProcess
from receiver import Receiver

NUMBERS = 20
DESCRIPTORS = 40
"""What four numbers need, and what the library leaks in a few reconnections: then the process is replaced."""

DURATION_S = float(os.environ.get("CHATBOT_ERP_CHAOS_S", "0"))
SEED = int(os.environ.get("CHATBOT_ERP_CHAOS_SEED", "299310665")) or random.SystemRandom().randrange(1, 10**9)
OPTIONS = ("--numbers-per-host", "4", "--host-descriptors", str(DESCRIPTORS), "--no-sanity-ping", *IN_FILES)
FRAIL = (str(Path(__file__).parents[1] / "support" / "frail_manager.py"),)


@pytest.mark.timeout(1800 + 3 * DURATION_S)
def test_every_message_is_accounted_for_whatever_goes_wrong(tmp_path: Path) -> None:
    print(f"\nCHATBOT_ERP_CHAOS_SEED={SEED} CHATBOT_ERP_CHAOS_S={DURATION_S:.0f}")
    data = tmp_path / "data"
    with (
        Network.start() as network,
        Receiver() as receiver,
        ManagerProcess(data, network, *OPTIONS, program=FRAIL) as manager,
    ):
        chaos = Chaos(SEED, manager, network, receiver)
        began = time.monotonic()
        chaos.pair(NUMBERS)
        paired = time.monotonic()
        chaos.run(DURATION_S)
        played = time.monotonic()
        chaos.settle()
        settled = time.monotonic()
        found = chaos.balance()
        print(f"{sum(chaos.played.values())} faults: {dict(chaos.played)}")
        longest = sorted(chaos.took.items(), key=lambda each: -each[1])[:8]
        print("most time went into", *(f"{name}: {seconds:.1f} s" for name, seconds in longest), sep=", ")
        print(f"paired in {paired - began:.1f} s, played {played - paired:.1f} s, settled {settled - played:.1f} s")
        print(f"books balanced after {time.monotonic() - settled:.1f} s; losses by cause: {dict(chaos.causes())}")
        print(*tell(chaos.books()), sep="\n")
        if found:
            chaos.explain(found)
        assert found == {}
        assert chaos.fought_over() == []
        assert chaos.idle_hosts() == []
        descriptors, threads = (len(os.listdir(f"/proc/{manager.pid}/{place}")) for place in ("fd", "task"))
        print(f"{len(manager.host_pids())} socket processes, {descriptors} descriptors, {threads} threads")
        assert manager.terminate(timeout_s=120) == 0
        assert holders_of(data) == []
    assert [path.name for place in ("spool", "parked") for path in (data / place).glob("*")] == []
    verdict = manager.run("verify")
    assert verdict.returncode == 0, verdict.stdout + verdict.stderr


def tell(all_books: dict[str, Books]) -> list[str]:
    """The sums, to be read."""
    sums: Counter[str] = Counter()
    answers: Counter[str] = Counter()
    for books in all_books.values():
        events = {payload["id"]: payload["event"] for payload in books.told}
        received = {p["whatsapp"]["messageId"] for p in books.told if p["event"] == "message.received"}
        acks = {(p["whatsapp"]["messageId"], p["ack"]["status"]) for p in books.told if p["event"] == "message.ack"}
        sums.update(events.values())
        sums["repeats"] += len(books.told) - len(events)
        kind = "not taken by numbers that are lost for good" if books.lost_at else "lost with a process that was killed"
        sums[f"messages {kind}"] += len(lost_messages(books) - received)
        sums[f"acks {kind}"] += len(lost_acks(books) - acks)
        answers.update(str(asked.status) for asked in books.asked.values())
    return [f"told: {dict(sums)}", f"sends, by answer: {dict(answers)}"]
