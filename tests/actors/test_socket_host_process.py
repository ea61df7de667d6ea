"""Real host processes: how they are born, obey, die, and what they leave behind."""

import fcntl
import os
import queue
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from chatbot_erp.actors import frames, host_process
from chatbot_erp.actors.frames import Observation, Said, Word
from chatbot_erp.actors.host_loading import Loading, get_ready
from chatbot_erp.actors.host_process import WAITING_ORDERS, HostDeath, HostProcess, await_former_hosts
from chatbot_erp.actors.house import HostGone
from chatbot_erp.actors.spool import read_spools
from fake_sockets import PATIENCE_S, fake_sockets
from hung_nursery import hang_nurseries
from waiting import wait_until

MANAGER = """
import sys
from pathlib import Path
from fake_sockets import fake_sockets
from chatbot_erp.actors import frames, host_process
from chatbot_erp.actors.host_loading import get_ready
from chatbot_erp.actors.host_process import HostProcess

def hear(word):
    if isinstance(word, frames.Said) and isinstance(word.observation, frames.SocketReceived):
        print(host.pid, word.observation.text, flush=True)

get_ready({}, lambda: False)
host = HostProcess("orphan", Path(sys.argv[1]), on_word=hear, on_death=print, sockets=fake_sockets)
host.order(frames.OpenSocket(instance="a", generation=1, session="", pairing=False, ping=False))
host.order(frames.Transmit(instance="a", command_id="c", to="55", text="receive 500"))
host.order(frames.Confirm(instance="a", number=100))
sys.stdin.read()
"""


class Host:
    """A host process and what was heard of it."""

    def __init__(self, directory: Path, name: str = "host", environment: dict[str, str] | None = None) -> None:
        self.words: queue.Queue[Word] = queue.Queue()
        self.deaths: queue.Queue[HostDeath] = queue.Queue()
        assert get_ready(environment or {}, lambda: False)
        self.process = HostProcess(
            name,
            directory,
            on_word=self.words.put,
            on_death=self.deaths.put,
            environment=environment or {},
            sockets=fake_sockets,
        )

    def work(self) -> None:
        """Let the host do something, and confirm it."""
        self.do("hello")
        self.process.order(frames.Confirm(instance="a", number=self.hear_of(frames.SocketSent).number))

    def flood(self) -> None:
        """Give more orders than can wait."""
        for _ in range(WAITING_ORDERS + 1):
            self.process.order(frames.Confirm(instance="nobody", number=0))

    def do(self, text: str) -> None:
        """Have a socket in the host send this, which may be an instruction to the fake."""
        self.process.order(frames.OpenSocket(instance="a", generation=1, session="", pairing=False, ping=False))
        self.process.order(frames.Transmit(instance="a", command_id="c", to="55", text=text))

    def hear_of(self, kind: type[Observation]) -> Said:
        while True:
            word = self.words.get(timeout=PATIENCE_S)
            if isinstance(word, Said) and isinstance(word.observation, kind):
                return word

    def said(self, text: str) -> str:
        """What the fake answers to this instruction."""
        self.do(text)
        observation = self.hear_of(frames.SocketReceived).observation
        assert isinstance(observation, frames.SocketReceived)
        return observation.text


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Host]]:
    hosts: list[Host] = []

    def start_host(name: str = "host", **environment: str) -> Host:
        hosts.append(Host(tmp_path, name, environment))
        return hosts[-1]

    yield start_host
    for host in hosts:
        host.process.kill()
        host.process.end(PATIENCE_S)


def test_a_host_ends_in_order_and_leaves_nothing(start: Callable[..., Host], tmp_path: Path) -> None:
    host = start()
    host.work()
    assert host.process.end(PATIENCE_S)
    death = host.deaths.get(timeout=PATIENCE_S)
    assert (death.name, death.exit_code, death.signal, death.stderr_tail) == ("host", 0, None, "")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    assert host.deaths.empty()


def test_a_death_tells_the_exit_code_and_what_was_written_last(start: Callable[..., Host]) -> None:
    host = start()
    host.do("write the last straw")
    host.hear_of(frames.SocketSent)
    host.do("exit 7")
    death = host.deaths.get(timeout=PATIENCE_S)
    assert (death.exit_code, death.signal) == (7, None)
    assert "the last straw" in death.stderr_tail


def test_a_death_is_told_also_where_the_files_of_the_host_can_neither_be_read_nor_removed(
    start: Callable[..., Host], tmp_path: Path
) -> None:
    host = start()
    host.work()
    for path in (tmp_path / "hosts").iterdir():
        path.unlink()
        path.mkdir()
    host.process.kill()
    assert host.deaths.get(timeout=PATIENCE_S).signal == signal.SIGKILL


def test_an_abort_of_the_library_is_told_by_its_signal_and_first_words(start: Callable[..., Host]) -> None:
    host = start()
    host.do("write fatal error: concurrent map read and map write " + "goroutine " * 1000)
    host.hear_of(frames.SocketSent)
    host.do("abort")
    death = host.deaths.get(timeout=PATIENCE_S)
    assert (death.exit_code, death.signal) == (None, signal.SIGABRT)
    assert death.stderr_tail.startswith("fatal error: concurrent map read")


def test_a_dead_host_takes_no_orders(start: Callable[..., Host]) -> None:
    host = start()
    host.process.kill()
    assert host.deaths.get(timeout=PATIENCE_S).signal == signal.SIGKILL
    with pytest.raises(HostGone):
        host.process.order(frames.EndHost())


def test_ctrl_c_and_sigterm_are_the_managers_business(start: Callable[..., Host]) -> None:
    host = start()
    host.work()
    os.kill(host.process.pid, signal.SIGINT)
    os.kill(host.process.pid, signal.SIGTERM)
    assert host.process.end(PATIENCE_S)
    assert host.deaths.get(timeout=PATIENCE_S).exit_code == 0


def test_a_hung_host_is_killed_when_it_does_not_end(start: Callable[..., Host]) -> None:
    host = start()
    host.work()
    os.kill(host.process.pid, signal.SIGSTOP)
    assert not host.process.end(0.1, 0.1)
    assert host.deaths.get(timeout=PATIENCE_S).signal == signal.SIGKILL


def test_a_hung_host_that_is_given_up_is_killed_when_it_does_not_spool(
    start: Callable[..., Host], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host_process, "GIVEN_UP_PATIENCE_S", 0.1)
    host = start()
    host.work()
    os.kill(host.process.pid, signal.SIGSTOP)
    host.process.give_up()
    assert host.deaths.get(timeout=PATIENCE_S).signal == signal.SIGKILL


@pytest.mark.parametrize("by_whom", ["given up", "the end"])
def test_a_host_in_which_a_socket_does_not_close_spools_what_nobody_has_confirmed(
    start: Callable[..., Host], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by_whom: str
) -> None:
    monkeypatch.setattr(host_process, "GIVEN_UP_PATIENCE_S", PATIENCE_S)
    monkeypatch.setattr(host_process, "REAP_PATIENCE_S", PATIENCE_S)
    host = start()
    host.do("receive 3")
    host.hear_of(frames.SocketSent)
    host.do("close never")
    host.hear_of(frames.SocketSent)
    if by_whom == "given up":
        host.process.give_up()
    else:
        assert not host.process.end(0.0, PATIENCE_S)
    host.deaths.get(timeout=PATIENCE_S)
    (spool,) = read_spools(tmp_path)
    texts = [said.observation.text for said in spool.words if isinstance(said.observation, frames.SocketReceived)]
    assert texts == ["0", "1", "2"]


def test_a_host_whose_spool_the_disk_does_not_take_tries_until_it_does(
    start: Callable[..., Host], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host_process, "REAP_PATIENCE_S", 10 * PATIENCE_S)
    host = start()
    host.do("receive 100")
    host.hear_of(frames.SocketSent)
    unlimited = resource.RLIM_INFINITY
    resource.prlimit(host.process.pid, resource.RLIMIT_FSIZE, (4096, unlimited))
    ender = threading.Thread(target=host.process.end, args=(0.0,))
    ender.start()
    wait_until(lambda: "tried again" in (tmp_path / "hosts" / "host.log").read_text())
    resource.prlimit(host.process.pid, resource.RLIMIT_FSIZE, (unlimited, unlimited))
    assert host.deaths.get(timeout=PATIENCE_S).exit_code == 0
    ender.join()
    (spool,) = read_spools(tmp_path)
    assert spool.damage is None
    texts = [said.observation.text for said in spool.words if isinstance(said.observation, frames.SocketReceived)]
    assert texts == [str(number) for number in range(100)]


def test_a_hung_host_holds_nobody_up_and_takes_its_orders_later_in_turn(start: Callable[..., Host]) -> None:
    host = start()
    host.work()
    os.kill(host.process.pid, signal.SIGSTOP)
    texts = [f"{number} {'x' * 1000}" for number in range(600)]
    for text in texts:  # more than the pipe takes
        host.process.order(frames.Transmit(instance="a", command_id="c", to="55", text=text))
    with pytest.raises(HostGone):
        host.flood()
    os.kill(host.process.pid, signal.SIGCONT)
    sent = [host.hear_of(frames.SocketSent).observation for _ in texts]
    assert [each.text for each in sent if isinstance(each, frames.SocketSent)] == texts


def test_a_host_carries_nothing_of_the_manager(start: Callable[..., Host]) -> None:
    """Nothing of its code, and nothing of the program that started it (here pytest)."""
    assert start().said("modules falcon waitress pykka pytest aiosqlite chatbot_erp.actors.house msgspec") == "msgspec"


def test_a_host_is_executed_with_its_environment_and_without_what_the_manager_was_told_by_its_own(
    start: Callable[..., Host], monkeypatch: pytest.MonkeyPatch
) -> None:
    for ours in ("CHATBOT_ERP_API_KEY", "OTEL_EXPORTER_OTLP_HEADERS"):
        monkeypatch.setenv(ours, "kept from hosts")
    one = start("one", HTTPS_PROXY="http://127.0.0.1:1")
    other = start("other", HTTPS_PROXY="http://127.0.0.1:2")
    for host, proxy in ((one, b"http://127.0.0.1:1"), (other, b"http://127.0.0.1:2")):
        # Not os.environ: the Go library sees what stood there when the process was executed.
        variables = Path(f"/proc/{host.process.pid}/environ").read_bytes().split(b"\0")
        assert b"HTTPS_PROXY=" + proxy in variables
        assert not [each for each in variables if b"kept from hosts" in each]


def test_hosts_outlive_their_nursery_and_new_ones_find_another(start: Callable[..., Host]) -> None:
    host = start("one")
    host.work()
    os.kill(nursery_of(host), signal.SIGKILL)
    start("two").work()
    host.work()
    assert host.process.end(PATIENCE_S)
    death = host.deaths.get(timeout=PATIENCE_S)
    assert (death.exit_code, death.signal) == (None, None)


def test_a_nursery_that_hangs_is_replaced_and_the_end_of_its_hosts_is_noticed(start: Callable[..., Host]) -> None:
    host, other = start("one"), start("two")
    host.work()
    nursery = nursery_of(host)
    os.kill(nursery, signal.SIGSTOP)
    host.process.kill()
    assert host.deaths.get(timeout=PATIENCE_S).name == "one"
    successor = start("three")
    successor.work()
    assert nursery_of(successor) != nursery
    other.work()


def test_nobody_waits_for_a_nursery_that_does_not_come_when_no_host_is_wanted_any_more(tmp_path: Path) -> None:
    loading = hang_nurseries(tmp_path)
    assert not get_ready({"PYTHONPATH": str(tmp_path)}, lambda: loading.exists() and loading.read_text() != "")
    with pytest.raises(ProcessLookupError):
        os.kill(int(loading.read_text()), 0)


def test_where_a_nursery_cannot_be_loaded_whoever_wants_a_host_is_told_and_the_next_one_has_it_tried_again(
    tmp_path: Path,
) -> None:
    """As on a machine without memory, or where what is to be loaded is just being replaced."""
    cause = tmp_path / "sitecustomize.py"
    cause.write_text('import os, sys\nif "chatbot_erp.actors.host_nursery" in sys.orig_argv:\n    os._exit(1)\n')
    environment = {"PYTHONPATH": str(tmp_path)}
    loading = Loading(environment, lambda: False)

    def begin() -> HostProcess:
        assert not loading.is_over(), "it is loaded first"
        wait_until(loading.is_over)
        return HostProcess(
            "host", tmp_path, on_word=print, on_death=print, environment=environment, sockets=fake_sockets
        )

    for _ in range(2):
        with pytest.raises(OSError, match="Nothing is loaded"):
            begin()
    cause.unlink()
    host = begin()
    host.kill()
    host.end(PATIENCE_S)


def test_a_host_is_not_waited_for_while_its_nursery_is_being_loaded(tmp_path: Path) -> None:
    hanging, over = hang_nurseries(tmp_path), threading.Event()
    environment = {"PYTHONPATH": str(tmp_path)}
    loading = Loading(environment, over.is_set)
    assert not loading.is_over()
    wait_until(hanging.exists)
    try:
        with pytest.raises(ConnectionError):
            HostProcess("host", tmp_path, on_word=print, on_death=print, environment=environment)
        assert not loading.is_over(), "it still hangs"
    finally:
        over.set()
        while not loading.is_over():
            time.sleep(0.01)


def nursery_of(host: Host) -> int:
    (nursery,) = [
        int(line.split()[1])
        for line in Path(f"/proc/{host.process.pid}/status").read_text().splitlines()
        if line.startswith("PPid:")
    ]
    return nursery


def test_the_heart_of_a_host_beats(start: Callable[..., Host]) -> None:
    host = start()
    alive = host.words.get(timeout=PATIENCE_S)
    assert isinstance(alive, frames.Alive)
    assert alive.rss_bytes > 1 << 20
    assert alive.descriptors > 3


def test_what_a_host_had_in_hand_survives_its_manager_killed_in_mid_flow(tmp_path: Path) -> None:
    manager = subprocess.Popen(
        [sys.executable, "-c", MANAGER, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert manager.stdin is not None
    assert manager.stdout is not None
    with manager.stdin, manager.stdout:
        while not manager.stdout.readline().endswith(" 250\n"):
            assert manager.poll() is None
        manager.kill()
        manager.wait()
    assert await_former_hosts(tmp_path, PATIENCE_S) == []
    (spool,) = read_spools(tmp_path)
    assert spool.damage is None
    texts = [word.observation.text for word in spool.words if isinstance(word.observation, frames.SocketReceived)]
    # Which of them the manager confirmed depends on the moment of its death; none that it did not confirm is missing.
    assert texts == [str(n) for n in range(500)][-len(texts) :]
    assert len(texts) >= 250
    assert not list((tmp_path / "hosts").glob("*.lock"))


def test_a_former_host_that_hangs_is_killed_before_anything_is_opened(
    start: Callable[..., Host], tmp_path: Path
) -> None:
    host = start()
    host.work()
    os.kill(host.process.pid, signal.SIGSTOP)
    assert await_former_hosts(tmp_path, 0.1) == ["host"]
    assert host.deaths.get(timeout=PATIENCE_S).signal == signal.SIGKILL


def test_a_former_host_that_cannot_be_killed_is_named_and_nothing_is_opened(tmp_path: Path) -> None:
    lock = tmp_path / "hosts" / "orphan.lock"
    lock.parent.mkdir()
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(OSError, match=r"orphan\.lock is still locked by a process of the last manager: end it"):
            await_former_hosts(tmp_path, 0.0, 0.1)
    assert await_former_hosts(tmp_path, PATIENCE_S) == []


def test_two_hosts_of_one_name_cannot_live_at_once(start: Callable[..., Host]) -> None:
    first = start()
    first.work()
    assert start().deaths.get(timeout=PATIENCE_S).exit_code == 1
    first.work()
