"""Where the house is put together: each part is started in order, and stopped in reverse."""

import contextlib
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Any

import pykka
import segno
import structlog
from filelock import FileLock

from chatbot_erp.actors import frames, people_frames, session_traces, tidings
from chatbot_erp.actors.alarms import Alarms
from chatbot_erp.actors.commands import Observed
from chatbot_erp.actors.config import Config
from chatbot_erp.actors.directory import Directory
from chatbot_erp.actors.ending import ACTORS_S, END_S, HOSTS_S, Ending
from chatbot_erp.actors.erasing import Eraser
from chatbot_erp.actors.host_loading import Loading
from chatbot_erp.actors.host_process import HostDeath, HostProcess, await_former_hosts
from chatbot_erp.actors.hosts import SocketHosts
from chatbot_erp.actors.house import HostGone, House, Switchboard, hide_qr, utc_now
from chatbot_erp.actors.housekeeping import forget_old_attempts, forget_old_content, postponed, tidy_media_now_and_then
from chatbot_erp.actors.inquiries import Inquiries
from chatbot_erp.actors.leftovers import bring_in, exchange_spools, leave_spools
from chatbot_erp.actors.manager import Manager
from chatbot_erp.actors.outbox import Outbox
from chatbot_erp.actors.renewals import Renewals
from chatbot_erp.actors.sessions import Sessions
from chatbot_erp.actors.socket_host import neonize_sockets
from chatbot_erp.actors.spool import close_spools
from chatbot_erp.actors.supervisor_actor import SupervisorActor
from chatbot_erp.eventstore.errors import StoreError
from chatbot_erp.eventstore.lease import ALONE, Node
from chatbot_erp.eventstore.places import open_store, open_vault, sessions_in
from chatbot_erp.eventstore.store import EventStore
from chatbot_erp.eventstore.vault import Vault

log = structlog.get_logger()

PATIENCE_S = 60.0
FORMER_HOSTS_PATIENCE_S = 8.0

CONNECTIONS, CONNECTIONS_OF_A_NUMBER = 8, 2
"""To a database: of the manager itself, and of each number whose session is there, where no pool has them."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a socket host finds around it: environment variables, and what is called when the library is loaded."""

    environment: dict[str, str]
    prelude: Callable[[], None] | None


@contextmanager
def open_house(
    config: Config,
    surroundings: Surroundings,
    node: Node = ALONE,
    lost: Callable[[], None] = lambda: None,
    ending: Ending | None = None,
) -> Iterator[Manager]:
    """Everything but HTTP: lock, log, actors, sockets. Raises `StoreError` or `Timeout` if it cannot be had.

    `lost` is called when other nodes took over what this one had. `ending`, where it is set, says how long the end may
    take; else it has all its time. Where it comes before the house is open, that ends with the step that is under way
    and `EndCame`.
    """
    ending = ending or Ending()
    config.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    sessions = config.data_dir / "sessions"
    sessions.mkdir(mode=0o700, exist_ok=True)
    with ExitStack() as stack:
        stack.enter_context(FileLock(config.data_dir / "manager.lock", timeout=0))
        store = open_store(config.data_dir, config.database, node, lost)
        stack.callback(store.close)
        vault = open_vault(config.database or config.data_dir)
        stack.callback(vault.close)
        if config.database is not None and config.sessions_pool is not None:
            sessions_in(config.sessions_pool, pooled=True).must_lead_to(config.database)
        store.company.fix([session.stem for session in sessions.glob("*.db")])
        ending.check()
        await_former_hosts(config.data_dir, FORMER_HOSTS_PATIENCE_S)
        close_spools(config.data_dir)
        spools = Lock()
        eraser = Eraser(store, config, vault, spools)
        with postponed():
            eraser.resume(utc_now())
        Outbox(config).empty()
        ending.check()
        alarms = Alarms()
        alarms.start()
        stack.callback(alarms.stop)
        renewals = Renewals(alarms, store.company.leased_until)
        if node.movable:
            renewals.go_on()
        supervisor = _start_supervisor(config, surroundings, store, vault, spools, alarms, renewals, ending)
        house: Any = supervisor.ask(tidings.Introduce(), timeout=PATIENCE_S)
        if node.movable:
            stack.callback(leave_spools, house)
        stack.callback(_stop_supervisor, supervisor, ending)
        count = take_step(supervisor, tidings.Restore(), ending)
        ending.check()
        bring_in(house)
        ending.check()
        take_step(supervisor, tidings.Resume(), ending)
        ending.check()
        forget_old_attempts(house)
        tidy_media_now_and_then(house)
        if node.movable:
            exchange_spools(house)
        forget_old_content(house, eraser)
        log.info("restored", action="restored", instances=count)
        _look_for_room(config, count)
        yield Manager(house, eraser)


def take_step(supervisor: pykka.ActorRef[Any], step: tidings.Restore | tidings.Resume, ending: Ending) -> Any:
    """Have the supervisor take this step of the start; its answer. Raises `TimeoutError` where it hangs: this is the end."""
    try:
        return supervisor.ask(step, timeout=PATIENCE_S)
    except pykka.Timeout:
        hangs = (
            f"The start hangs (in {type(step).__name__}). See whether the disk or the database answers, and try again."
        )
        # The supervisor that hangs may hold up the end as well: nobody would hear of the error then.
        log.critical(hangs, action="start_hangs")
        ending.keep()
        raise TimeoutError(hangs) from None


def _look_for_room(config: Config, numbers: int) -> None:
    """Say it before it happens: a number that gets no connection to its session cannot read what comes in."""
    if config.database is None or config.sessions == "files":
        return
    wanted = CONNECTIONS + (CONNECTIONS_OF_A_NUMBER * numbers if config.sessions_pool is None else 0)
    with contextlib.suppress(StoreError):
        if wanted > (room := sessions_in(config.database).room()):
            log.warning("raise max_connections", action="connections_short", numbers=numbers, wanted=wanted, room=room)


def _start_supervisor(
    config: Config,
    surroundings: Surroundings,
    store: EventStore,
    vault: Vault,
    spools: Lock,
    alarms: Alarms,
    renewals: Renewals,
    ending: Ending,
) -> pykka.ActorRef[Any]:
    directory = Directory()
    switchboard = Switchboard()

    def build(supervisor: pykka.ActorRef[Any]) -> tuple[House, SocketHosts]:
        house = House(
            config=config,
            store=store,
            vault=vault,
            spools=spools,
            directory=directory,
            alarms=alarms,
            supervisor=supervisor,
            switchboard=switchboard,
            inquiries=Inquiries(most=config.http_threads // 3),
            is_ending=ending.is_set,
            show_qr=print_qr if sys.stdout.isatty() else hide_qr,
        )

        def spawn(name: str) -> HostProcess:
            def hear(word: frames.Word) -> None:
                # What a socket said answers an order, so `host` is there by then.
                if isinstance(word, frames.Said):
                    pass_on(house, host, word)

            def mourn(death: HostDeath) -> None:
                with contextlib.suppress(pykka.ActorDeadError):
                    supervisor.tell(death)

            host = HostProcess(
                name,
                config.data_dir,
                on_word=hear,
                on_death=mourn,
                prelude=surroundings.prelude,
                environment=surroundings.environment,
                sockets=partial(
                    neonize_sockets,
                    config.sessions_pool or config.database,
                    pooled=config.sessions_pool is not None,
                ),
                given_up=ending.is_set,
            )
            renewals.add(host)
            return host

        hosts = SocketHosts(
            sessions=Sessions(
                config.data_dir / "sessions",
                config.database,
                shared=config.sessions == "database",
                part_with=partial(keep_names, store),
            ),
            numbers_per_host=config.numbers_per_host,
            ping=config.sanity_ping,
            switchboard=switchboard,
            spawn=spawn,
            ready=Loading(surroundings.environment, ending.is_set).is_over,
        )
        return house, hosts

    return SupervisorActor.start(build)


def keep_names(store: EventStore, session: Path) -> None:
    """Whose LID is which number, before the session that knows it is erased: who is forgotten later is so under both."""
    try:
        store.keys.join(session_traces.pairs(session))
    except StoreError as ex:
        # A session that was to be erased is no place to keep them.
        log.error("a session's names are not kept", action="names_not_kept", instance=session.stem, error=str(ex))


def pass_on(house: House, host: HostProcess, word: frames.Said) -> None:
    """Runs in a host's reader thread: hand what a socket said to whom it concerns, and return."""
    instance = word.instance
    if isinstance(word.observation, frames.SocketClosed):
        unlinked = word.observation.unlinked
        house.supervisor.tell(tidings.SocketIsClosed(instance=instance, host=host.name, unlinked=unlinked))
        return
    if isinstance(word.observation, people_frames.Reply):
        house.inquiries.settle(word.observation)
        return
    observed = Observed(generation=word.generation, observation=word.observation, at=house.now())
    actor = house.directory.actor(instance)
    if actor is None:
        # Where others share the log one of them may have it by now; of one that is gone for good it is found out there.
        shared = bool(house.store.company.node)
        with contextlib.suppress(HostGone):
            host.order(
                frames.SetAside(instance=instance) if shared else frames.Confirm(instance=instance, number=word.number)
            )
        return
    with contextlib.suppress(pykka.ActorDeadError):
        actor.tell(tidings.Heard(observed=observed, number=word.number, oldest=word.oldest, host=host))


def _stop_supervisor(supervisor: pykka.ActorRef[Any], ending: Ending) -> None:
    """Within the deadline of the end, if it has come; a start that fails takes one of its own."""
    if not ending.is_set():
        ending = Ending()
    order = tidings.EndAll(hosts_until=ending.until(HOSTS_S), actors_until=ending.until(ACTORS_S))
    try:
        supervisor.ask(order, timeout=ending.left_s(END_S))
    except pykka.Timeout:
        log.error("the supervisor does not end", action="supervisor_hangs")
    supervisor.stop(block=False)


def print_qr(name: str, text: str) -> None:
    """Show a QR on the terminal, as blocks that a phone can scan. One that was closed meanwhile keeps nobody from pairing."""
    with contextlib.suppress(OSError, ValueError):
        print(f"\nScan with WhatsApp on the phone of {name}:", flush=True)
        segno.make_qr(text).terminal(compact=True)
