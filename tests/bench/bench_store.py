"""How fast the event store is on this machine: `python tests/bench/bench_store.py [--events N] [--appenders N] [--kills N]
[--database URL]`. With an empty PostgreSQL database it measures that; the floors are SQLite's.

Prints one line for each figure, with the floor that was set for it. Everything is durable (synchronous=FULL), and what
is personal is sealed. CPU is what one append costs this process, which a busy machine changes least.
"""

import argparse
import itertools
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from chatbot_erp.actors.commands import CreateInstance, Observed
from chatbot_erp.actors.config import Config
from chatbot_erp.actors.erasing import Eraser
from chatbot_erp.actors.frames import SocketReceived
from chatbot_erp.actors.journal import Journal
from chatbot_erp.actors.rebuild import past, rebuild
from chatbot_erp.actors.state import Instance, encode_state, evolve
from chatbot_erp.eventstore.errors import StoreError
from chatbot_erp.eventstore.events import (
    Event,
    InstanceCreated,
    MessageAccepted,
    MessageReceived,
    PingSent,
    WebhookDelivered,
)
from chatbot_erp.eventstore.places import open_store, verify
from chatbot_erp.eventstore.promise import Promise
from chatbot_erp.eventstore.store import Appended, EventStore, NewEvent

NOW = datetime.now(UTC)
STREAMS = 50
CREATED = evolve(None, InstanceCreated(name="bench", webhook_url="http://127.0.0.1:9/hook", session_from=None), NOW)
assert isinstance(CREATED, Instance)
SNAPSHOT = encode_state(CREATED)
SOMEBODY = "5511987654321"
CRASH = Path(__file__).parents[1] / "eventstore" / "test_crash.py"
Story = Callable[[], Iterator[Event]]


def accepted() -> Iterator[Event]:
    """Messages of callers: about 400 bytes of JSON each."""
    for n in itertools.count():
        yield MessageAccepted(command_id=f"{n:036d}", number=SOMEBODY, kind="text", text="Olá " * 55)


def plain() -> Iterator[Event]:
    """About as much, with nothing to seal."""
    for _ in itertools.count():
        yield PingSent(message_id="Olá " * 75)


def received_and_delivered() -> Iterator[Event]:
    """Messages of others, each followed by the verdict of its delivery."""
    for n in itertools.count(1):
        yield MessageReceived(
            message_id=f"3EB0{n:016d}",
            jid="5511987654321@s.whatsapp.net",
            jid_alt=None,
            participant=None,
            push_name="Fulana de Tal",
            kind="text",
            text="Olá " * 15,
            sent_at=NOW,
            raw=msgspec.Raw(b'{"conversation":"' + b"x" * 90 + b'"}'),
        )
        yield WebhookDelivered(sequence=n, attempts=1, http_status=200)


def new(event: Event) -> NewEvent:
    return NewEvent(id=str(uuid.uuid4()), event=event, recorded_at=NOW)


def at(share: float, latencies: list[float]) -> float:
    """A percentile in milliseconds of sorted seconds."""
    return latencies[int(len(latencies) * share)] * 1000


def appenders(store: EventStore, count: int, seconds: float, story: Story) -> str:
    """`count` threads, each with a stream of its own, each waiting for its own append."""
    latencies: list[float] = []
    start = threading.Barrier(count + 1)

    def work(_: int) -> None:
        mine, stream = [], str(uuid.uuid4())
        start.wait()
        until = time.perf_counter() + seconds
        for version, event in enumerate(story()):
            before = time.perf_counter()
            if before > until:
                break
            store.append(stream, version, [new(event)], snapshot=SNAPSHOT).result()
            mine.append(time.perf_counter() - before)
        latencies.extend(mine)

    took, cpu = together(work, count, start)
    return figures(latencies, took, cpu)


def together(work: Callable[[int], None], count: int, start: threading.Barrier) -> tuple[float, float]:
    """So many threads, each with its number, from `start` on: seconds, and those of the CPU."""
    threads = [threading.Thread(target=work, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    start.wait()
    begun, cpu = time.perf_counter(), time.process_time()
    for thread in threads:
        thread.join()
    return time.perf_counter() - begun, time.process_time() - cpu


def journals(
    store: EventStore, actors: int, each: int, seconds: float, ready: Callable[[], None] | None = None
) -> tuple[list[float], float, float]:
    """As instances append: so many actors, each taking `each` received messages from its mailbox at a time.

    Deciding, the ids and the new state are in it; reading the mailbox is not. The latencies, and what `together` says;
    `ready` is called before they begin, with an instance each.
    """
    latencies: list[float] = []
    start = threading.Barrier(actors + 1, ready)

    def work(number: int) -> None:
        mine: list[float] = []
        refused: list[StoreError | None] = []
        journal = Journal(str(uuid.uuid4()), store, lambda: NOW, None, 0)
        journal.stage(
            CreateInstance(name=f"n{number}", webhook_url="http://a.example/", session_from=None), refused.append
        )
        journal.write()
        start.wait()
        until = time.perf_counter() + seconds
        for count in itertools.count():
            before = time.perf_counter()
            if before > until:
                break
            for n in range(each):
                journal.stage(received(f"3EB0{count:010d}{n:06d}"), refused.append)
            assert len(journal.write()) == each
            mine += [time.perf_counter() - before] * each
        assert not any(refused)
        latencies.extend(mine)

    took, cpu = together(work, actors, start)
    return latencies, took, cpu


def received(message_id: str) -> Observed:
    """What a socket says of a message."""
    seen = SocketReceived(
        message_id=message_id,
        jid="5511987654321@s.whatsapp.net",
        jid_alt=None,
        participant=None,
        push_name="Fulana de Tal",
        kind="text",
        text="Olá " * 15,
        sent_at=NOW,
        raw='{"conversation":"' + "x" * 90 + '"}',
    )
    return Observed(generation=1, observation=seen, at=NOW)


def figures(latencies: list[float], took: float, cpu: float) -> str:
    """One line about so many appends, each with its latency in seconds."""
    latencies.sort()
    return (
        f"{len(latencies) / took:8,.0f}/s  p50 {at(0.5, latencies):6.2f} ms  p90 {at(0.9, latencies):6.2f} ms"
        f"  p99 {at(0.99, latencies):6.2f} ms  CPU {cpu / len(latencies) * 1e6:4.0f} µs"
    )


def fill(directory: Path, database: str | None, events: int) -> float:
    """A log of that many events in 50 streams, of which one has 20,000; the seconds it took."""
    begun = time.perf_counter()
    streams = [str(uuid.uuid4()) for _ in range(STREAMS)]
    stories = [accepted() for _ in streams]
    versions = [0] * STREAMS
    waiting: list[Promise[Appended]] = []
    with open_store(directory, database) as store:
        for n in range(events // 100):
            k = 0 if n % (events // 20_000) == 0 else 1 + n % (STREAMS - 1)
            batch = [new(event) for event in itertools.islice(stories[k], 100)]
            waiting.append(store.append(streams[k], versions[k], batch, snapshot=SNAPSHOT))
            versions[k] += 100
            if len(waiting) == 50:
                for future in waiting:
                    future.result()
                waiting.clear()
        for future in waiting:
            future.result()
    return time.perf_counter() - begun


def report_on_a_large_log(log: Path, database: str | None, events: int) -> None:
    """Verify, start, replay, export and erase."""
    size = f"{events:,} events in {STREAMS} streams"
    took = fill(log, database, events)
    print(f"append by hundreds          {events / took:8,.0f}/s  {size}")
    begun, cpu = time.perf_counter(), time.process_time()
    report = verify(database or log)
    took, cpu = time.perf_counter() - begun, time.process_time() - cpu
    assert report.problem is None
    assert report.events >= events
    print(
        f"verify                      {report.events / took:8,.0f}/s  CPU {cpu / report.events * 1e6:4.1f} µs  ≥ 300,000/s"
    )
    begun = time.perf_counter()
    with open_store(log, database) as store:
        heads = store.open_streams()
        assert all(isinstance(rebuild(store, head), Instance) for head in heads)
        print(f"start with {size}, each an instance again: {time.perf_counter() - begun:.3f} s  < 2 s")
        stream = next(head.stream for head in heads if head.version >= 20_000)
        begun = time.perf_counter()
        then = past(store, stream)
        print(f"replay of one instance with 20,000 of {events:,} events: {time.perf_counter() - begun:.3f} s  < 1 s")
        assert then.position > 0
        eraser = Eraser(store, Config(data_dir=log))
        begun = time.perf_counter()
        page = eraser.held(SOMEBODY, after=0, limit=1000)
        print(f"a page of 1,000 events of somebody: {time.perf_counter() - begun:.3f} s")
        assert len(page.records) == 1000
        begun = time.perf_counter()
        eraser.erase(SOMEBODY, NOW)
        print(f"somebody of whom {events:,} events are is forgotten: {time.perf_counter() - begun:.3f} s")
    assert verify(database or log).problem is None


def report_on_kills(kills: int) -> None:
    """The crash test, so many times."""
    command = [sys.executable, "-m", "pytest", "-q", "-s", "-p", "no:cacheprovider", str(CRASH)]
    done = subprocess.run(
        command, env={**os.environ, "CHATBOT_ERP_KILLS": str(kills)}, capture_output=True, text=True, check=False
    )
    found = next((line for line in done.stdout.splitlines() if " kills, " in line), done.stdout)
    print(f"{found.strip('.')}, {'nothing lost' if done.returncode == 0 else 'FAILED'}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000, help="size of the log that is verified and opened")
    parser.add_argument("--appenders", type=int, default=300)
    parser.add_argument("--seconds", type=float, default=4, help="for each measurement of appends")
    parser.add_argument("--kills", type=int, default=200, help="of the writing process")
    parser.add_argument("--database", help="postgresql://…, an empty database")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-store-") as scratch:
        root = Path(scratch)
        for count, floor in ((1, "p50 < 1 ms"), (50, ""), (options.appenders, "≥ 20,000/s, p99 < 20 ms")):
            with open_store(root / f"accepted-{count}", options.database) as store:
                found = appenders(store, count, options.seconds, accepted)
            print(f"append, {count:4} at once       {found}  {floor}", flush=True)
        with open_store(root / "plain", options.database) as store:
            found = appenders(store, options.appenders, options.seconds, plain)
        print(f"the same, nothing sealed    {found}")
        with open_store(root / "mixed", options.database) as store:
            found = appenders(store, options.appenders, options.seconds, received_and_delivered)
        print(f"the same, with deliveries   {found}", flush=True)
        for actors in (options.appenders, max(1, options.appenders // 6)):
            each = options.appenders // actors
            with open_store(root / f"journals-{actors}", options.database) as store:
                found = figures(*journals(store, actors, each, options.seconds))
            print(f"{actors:4} actors, {each:4} at a time {found}", flush=True)
        report_on_a_large_log(root / "log", options.database, options.events)
    if options.kills:
        report_on_kills(options.kills)
    print(f"largest resident size: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB")


if __name__ == "__main__":
    main()
