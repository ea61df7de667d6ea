"""How fast the event store is on this machine: `python tests/bench/bench_store.py [--events N] [--appenders N]`.

Prints one line for each figure, with the floor that issue 3 asks for. Everything is durable (synchronous=FULL).
"""

import argparse
import itertools
import resource
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from chatbot_erp.eventstore.events import Event, MessageAccepted, MessageReceived, WebhookDelivered
from chatbot_erp.eventstore.store import Appended, EventStore, NewEvent
from chatbot_erp.eventstore.verify import verify

NOW = datetime.now(UTC)
SNAPSHOT = b"s" * 300
STREAMS = 50
Story = Callable[[], Iterator[Event]]


def accepted() -> Iterator[Event]:
    """Messages of callers: about 400 bytes of JSON each."""
    for n in itertools.count():
        yield MessageAccepted(command_id=f"{n:036d}", number="5511987654321", kind="text", text="Olá " * 55)


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


def appenders(directory: Path, count: int, seconds: float, story: Story) -> str:
    """`count` threads, each with a stream of its own, each waiting for its own append."""
    latencies: list[float] = []
    start = threading.Barrier(count + 1)

    def work(store: EventStore, stream: str) -> None:
        mine = []
        start.wait()
        until = time.perf_counter() + seconds
        for version, event in enumerate(story()):
            before = time.perf_counter()
            if before > until:
                break
            store.append(stream, version, [new(event)], snapshot=SNAPSHOT).result()
            mine.append(time.perf_counter() - before)
        latencies.extend(mine)

    with EventStore.open(directory) as store:
        threads = [threading.Thread(target=work, args=(store, str(uuid.uuid4()))) for _ in range(count)]
        for thread in threads:
            thread.start()
        start.wait()
        begun, cpu = time.perf_counter(), time.process_time()
        for thread in threads:
            thread.join()
        took, cpu = time.perf_counter() - begun, time.process_time() - cpu
    latencies.sort()
    return (
        f"{len(latencies) / took:8,.0f}/s  p50 {at(0.5, latencies):6.2f} ms  p90 {at(0.9, latencies):6.2f} ms"
        f"  p99 {at(0.99, latencies):6.2f} ms  CPU {cpu / len(latencies) * 1e6:4.0f} µs"
    )


def fill(directory: Path, events: int) -> float:
    """A log of that many events in 50 streams, of which one has 20,000; the seconds it took."""
    begun = time.perf_counter()
    streams = [str(uuid.uuid4()) for _ in range(STREAMS)]
    stories = [accepted() for _ in streams]
    versions = [0] * STREAMS
    waiting: list[Future[Appended]] = []
    with EventStore.open(directory) as store:
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=400_000, help="size of the log that is verified and opened")
    parser.add_argument("--appenders", type=int, default=300)
    parser.add_argument("--seconds", type=float, default=4, help="for each measurement of appends")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-store-") as scratch:
        root = Path(scratch)
        for count, floor in ((1, "p50 < 1 ms"), (50, ""), (options.appenders, "≥ 20,000/s, p99 < 20 ms")):
            found = appenders(root / f"accepted-{count}", count, options.seconds, accepted)
            print(f"append, {count:4} at once       {found}  {floor}")
        found = appenders(root / "mixed", options.appenders, options.seconds, received_and_delivered)
        print(f"the same, with deliveries   {found}")

        log = root / "log"
        size = f"{options.events:,} events in {STREAMS} streams"
        took = fill(log, options.events)
        print(f"append by hundreds          {options.events / took:8,.0f}/s  {size}")
        begun = time.perf_counter()
        report = verify(log)
        took = time.perf_counter() - begun
        assert (report.problem, report.events) == (None, options.events)
        print(f"verify                      {options.events / took:8,.0f}/s  ≥ 300,000/s")
        begun = time.perf_counter()
        with EventStore.open(log) as store:
            heads = store.open_streams()
            print(f"start with {size}: {time.perf_counter() - begun:.3f} s  < 2 s")
            stream = next(head.stream for head in heads if head.version >= 20_000)
            begun = time.perf_counter()
            history = store.read(stream=stream, limit=20_000)
            print(f"read and decode {len(history):,} events of one stream: {time.perf_counter() - begun:.3f} s  < 1 s")
    print(f"largest resident size: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB")


main()
