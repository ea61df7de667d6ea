"""What processes have cost so far, as the kernel counts it."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


def descendants(pid: int) -> list[int]:
    """The process and all below it."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except (OSError, IndexError):
                continue
            children.setdefault(parent, []).append(int(entry.name))
    found, waiting = [], [pid]
    while waiting:
        found.append(waiting.pop())
        waiting += children.get(found[-1], [])
    return found


def cpu_s(pids: Iterable[int]) -> float:
    """Seconds of user and system time of these processes until now."""
    total = 0
    for pid in pids:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        total += int(fields[11]) + int(fields[12])
    return total / _TICKS


def descriptors(pids: Iterable[int]) -> int:
    """Files, sockets and pipes that these processes have open."""
    return sum(entries(pid, "fd") for pid in pids)


def threads(pids: Iterable[int]) -> int:
    """Of all these processes."""
    return sum(entries(pid, "task") for pid in pids)


def entries(pid: int, folder: str) -> int:
    """How many things there are in a folder of a process; 0 where it has ended."""
    try:
        return len(os.listdir(f"/proc/{pid}/{folder}"))
    except OSError:
        return 0


def pss_mb(pids: Iterable[int]) -> float:
    """Megabytes of memory: private pages, and a fair share of those that several processes have in common."""
    total_kb = 0
    for pid in pids:
        try:
            rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
        except OSError:
            continue
        total_kb += next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:"))
    return total_kb / 1024
