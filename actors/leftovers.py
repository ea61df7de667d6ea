"""What socket hosts had in hand when they ended, brought from their spools into the log."""

from threading import Thread

import pykka
import structlog

from chatbot_erp.actors import people_frames, spool_exchange
from chatbot_erp.actors.commands import Observed
from chatbot_erp.actors.house import House
from chatbot_erp.actors.spool import close_spools, read_spools
from chatbot_erp.eventstore.errors import StoreError

log = structlog.get_logger()

PATIENCE_S = 60.0
EXCHANGE_EVERY_S = 5.0
AGAIN_S = 30.0
"""After this time what the log has refused, or an actor has not taken, is tried again."""


class Refusal(OSError):
    """Raised where the log takes nothing now: the spool is kept."""


def take_spools(house: House, host: str = "") -> bool:
    """Store what hosts, or this one, had in hand, then forget their spools. Raises `OSError`.

    Whether that is done, for all who are here. One instance that cannot take its words holds up nobody: its spools stay
    as they are for another time, or for another life if it is missing from this one. What of them is stored by then is
    known. Whoever calls has the spools of the house.
    """
    missing = set(house.directory.missing())
    waiting = set(missing)
    for spool in read_spools(house.config.data_dir, host):
        for said in spool.words:
            if isinstance(said.observation, people_frames.Reply) or said.instance in waiting:
                continue
            actor = house.directory.actor(said.instance)
            if actor is None and _lives_elsewhere(house, said.instance):
                waiting.add(said.instance)
                if not house.config.share:
                    missing.add(said.instance)  # nobody takes it in this life
                continue
            observed = Observed(generation=said.generation, observation=said.observation, at=house.now())
            try:
                if actor is not None and not actor.ask(observed, timeout=PATIENCE_S):
                    raise Refusal("The log refuses what the spool holds; the spool is kept.")
            except Refusal:
                raise
            except pykka.ActorDeadError as ex:
                # It goes to another node, or comes back here: nor what was said after it, or the order would be lost.
                waiting.add(said.instance)
                log.info("an instance takes no words now", action="spool_waits", instance=said.instance, error=str(ex))
            except Exception:
                # Nor what was said after it, or the order would be lost.
                waiting.add(said.instance)
                log.exception("an instance takes no words", action="spool_not_taken", instance=said.instance)
        if waiting.intersection(said.instance for said in spool.words):
            # Among nodes it goes to those who have them by now (`exchange_spools`), within seconds.
            say = log.info if house.config.share else log.error
            say("a spool is kept", action="spool_kept", file=str(spool.path))
        elif spool.damage is None:
            spool.remove()
        else:
            log.error("a spool is damaged", action="spool_parked", damage=spool.damage, file=str(spool.park()))
            house.tallies.count("parked", "Spool")
    return waiting == missing


def _lives_elsewhere(house: House, instance: str) -> bool:
    """Whether another node has it: what was said of it is handed over to that one (spool_exchange.py), not dropped."""
    try:
        return house.store.open_stream(instance) is not None
    except StoreError as ex:
        raise Refusal(f"Whose the words of {instance} are cannot be seen now: {ex}") from ex


def bring_in(house: House) -> None:
    """At the start: what sockets of former lives had in hand, here or on nodes. Raises `OSError`, `StoreError`."""
    with house.spools:
        done = _bring_in(house)
    if not done:
        take_beside(house)


def take_beside(house: House, host: str = "") -> None:
    """The same while the manager works, on a thread of its own, and again until it is done; or of this host, which has ended."""

    def take() -> None:
        done = False
        try:
            with house.spools:
                if host:
                    close_spools(house.config.data_dir, host)
                done = _bring_in(house, host)
        except (StoreError, OSError) as ex:
            log.warning("a spool waits", action="spool_waits", host=host, error=str(ex))
        finally:
            if not done:
                house.alarms.set(AGAIN_S, lambda: take_beside(house, host))

    Thread(target=take, name="leftovers", daemon=True).start()


def exchange_spools(house: House) -> None:
    """Have what sockets had in hand whose lease lapsed with who has their instances now, and store what is for this node's.

    Now and every few seconds.
    """

    def exchange() -> None:
        try:
            with house.spools:
                if not _must_be_cleaned(house):
                    spool_exchange.hand_over(house.config.data_dir, house.vault)
                    if _take_over(house):
                        take_spools(house)
        except (StoreError, OSError) as ex:
            log.warning("a spool waits", action="spool_waits", error=str(ex))
        finally:
            house.alarms.set(EXCHANGE_EVERY_S, lambda: exchange_spools(house))

    Thread(target=exchange, name="spools", daemon=True).start()


def leave_spools(house: House) -> None:
    """What was set aside last need not wait for this machine to be back."""
    try:
        with house.spools:
            if not _must_be_cleaned(house):
                spool_exchange.hand_over(house.config.data_dir, house.vault)
    except (StoreError, OSError) as ex:
        log.warning("a spool waits", action="spool_waits", error=str(ex))


def _bring_in(house: House, host: str = "") -> bool:
    """Whether it is done. Has the spools."""
    if _must_be_cleaned(house):
        return False
    if not host:
        if house.config.share:
            spool_exchange.hand_over(house.config.data_dir, house.vault)
        _take_over(house)
    return take_spools(house, host)


def _must_be_cleaned(house: House) -> bool:
    """Whether words may be spooled of somebody who is forgotten: in the log they would be somebody new's."""
    company = house.store.company
    return any(each.keeps_spools_of(company.machine, company.life) for each in house.store.keys.unfinished_erasures())


def _take_over(house: House) -> int:
    """Make spools of what other nodes handed over for this one; how many. Raises `OSError`, `StoreError`."""
    store = house.store
    return spool_exchange.take_over(
        house.config.data_dir,
        house.vault,
        is_mine=lambda instance: house.directory.actor(instance) is not None,
        is_gone=lambda instance: store.open_stream(instance) is None,
    )
