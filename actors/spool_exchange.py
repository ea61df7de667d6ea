"""What the sockets of a node had in hand when it ended reaches those who have its instances now, through the database."""

from collections.abc import Callable, Collection
from pathlib import Path

import structlog

from chatbot_erp.actors.frames import Said
from chatbot_erp.actors.spool import drop_unfinished, packed, read_spools, unpacked, write_packed
from chatbot_erp.actors.traces import without
from chatbot_erp.eventstore.vault import Vault

KIND = "spool"

log = structlog.get_logger()


def hand_over(directory: Path, vault: Vault) -> None:
    """Put what the spools of `directory` hold where `take_over` finds it, each instance's for itself.

    It can be repeated. Raises what the vault raises, and OSError.
    """
    for spool in read_spools(directory):
        words: dict[str, list[Said]] = {}
        written_ns = spool.path.stat().st_mtime_ns
        for word in spool.words:
            words.setdefault(word.instance, []).append(word)
        for instance, said in words.items():
            # One that came back has the instance in its name already: it goes under the same name again.
            name = spool.path.stem.removesuffix(f"-{instance}")
            vault.put(KIND, f"{instance}/{written_ns:020}/{name}", packed(said))
        if spool.damage is None:
            spool.remove()
        else:
            log.error("a spool is damaged", action="spool_parked", damage=spool.damage, file=str(spool.park()))


def take_over(directory: Path, vault: Vault, is_mine: Callable[[str], bool], is_gone: Callable[[str], bool]) -> int:
    """Make spools of `directory` of what is for the instances of this node; how many. What is for nobody is thrown away.

    It can be repeated. Raises what the vault raises, and OSError.
    """
    taken = 0
    for owner, content in sorted(vault.all(KIND).items(), key=lambda each: _written_ns(each[0])):
        instance, _, name = owner.partition("/")
        if is_mine(instance):
            _write(directory, f"{Path(name).name}-{instance}", content, _written_ns(owner))
            taken += 1
        elif not is_gone(instance):
            continue
        vault.delete(KIND, owner)
    return taken


def _write(directory: Path, name: str, content: bytes, written_ns: int) -> None:
    try:
        write_packed(directory, name, content, written_ns=written_ns)
    except OSError:
        # Whoever is to be forgotten waits for a spool that is not finished; the vault has it still.
        drop_unfinished(directory, name)
        raise


def _written_ns(owner: str) -> int:
    """When the spool was written that is kept under this name; 0 where an earlier version of the program handed it over."""
    match owner.split("/"):
        case [_, written_ns, _] if written_ns.isdecimal():
            return int(written_ns)
    return 0


def forget(vault: Vault, addresses: Collection[str], forms: Collection[str]) -> None:
    """Take out what is of these canonical addresses, which `forms` are the ways to write; it can be repeated."""
    for owner, content in vault.all(KIND).items():
        words = unpacked(content)
        if (kept := without(words, addresses, forms)) == words:
            continue
        if any(kept):
            vault.put(KIND, owner, packed(kept[0]) + kept[1])
        else:
            vault.delete(KIND, owner)
