"""What happens on the machine: to processes, actors and disk; and to the receiver of webhooks."""

import contextlib
import os
import resource
import signal
import time
from collections.abc import Callable
from pathlib import Path

from chaos_network import fall_deaf, hang_dial, hang_login
from chaos_scene import PATIENCE_S, Scene, Trouble
from stores import locked


def host_gets(number: signal.Signals) -> Callable[[Scene], None]:
    return lambda scene: scene.signal_host(number)


def kill_nursery(scene: Scene) -> None:
    """What socket processes are forked from dies, and one of them: its successor needs another."""
    for nursery in nurseries(scene):
        os.kill(nursery, signal.SIGKILL)
    scene.signal_host(signal.SIGKILL)


def nurseries(scene: Scene) -> list[int]:
    found = []
    for children in Path(f"/proc/{scene.manager.pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            for child in children.read_text().split():
                if b"host_nursery" in Path(f"/proc/{child}/cmdline").read_bytes():
                    found.append(int(child))
    return found


def kill_manager(scene: Scene) -> None:
    with scene.manager_away():
        scene.manager.kill()


def end_manager(scene: Scene) -> None:
    with scene.manager_away():
        assert scene.manager.terminate(timeout_s=PATIENCE_S) == 0


def end_manager_at_once(scene: Scene) -> None:
    with scene.manager_away():
        os.kill(scene.manager.pid, signal.SIGTERM)
        time.sleep(0.1)
        assert scene.manager.terminate(timeout_s=PATIENCE_S) in (0, 130)


def pause_manager(scene: Scene) -> None:
    os.kill(scene.manager.pid, signal.SIGSTOP)
    time.sleep(scene.random.uniform(0.5, 1.5))
    os.kill(scene.manager.pid, signal.SIGCONT)


def fail_actor(scene: Scene) -> None:
    os.kill(scene.manager.pid, signal.SIGUSR2)


def fill_disk(scene: Scene) -> None:
    resource.prlimit(scene.manager.pid, resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
    time.sleep(scene.random.uniform(0.3, 1.5))
    resource.prlimit(scene.manager.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


def lock_log(scene: Scene) -> None:
    with locked(scene.manager.data_dir, scene.manager.database):
        time.sleep(scene.random.uniform(0.3, 1.5))


def receiver_fails(scene: Scene) -> None:
    scene.moods.refusing.set()
    time.sleep(0.3)
    scene.moods.refusing.clear()


def receiver_dawdles(scene: Scene) -> None:
    scene.moods.dawdling.set()
    time.sleep(0.5)
    scene.moods.dawdling.clear()


def receiver_is_away(scene: Scene) -> None:
    """Who comes again after one and two seconds finds it back."""
    scene.receiver.away.set()
    time.sleep(scene.random.uniform(0.3, 1.5))
    scene.receiver.away.clear()


def receiver_is_gone(scene: Scene) -> None:
    """410 for one number, until a person enables it."""
    scene.ask_back()
    if scene.gone is None:
        scene.gone = scene.pick()
        scene.moods.gone = f"/{scene.gone.name}"


BY_THE_MACHINE = (
    Trouble("kill host", host_gets(signal.SIGKILL), 2),
    Trouble("abort host", host_gets(signal.SIGABRT)),
    Trouble("hang host", host_gets(signal.SIGSTOP)),
    Trouble("kill nursery", kill_nursery),
    Trouble("kill manager", kill_manager, is_wide=True),
    Trouble("end manager", end_manager, is_wide=True),
    Trouble("end manager at once", end_manager_at_once, is_wide=True),
    Trouble("pause manager", pause_manager),
    Trouble("fail actor", fail_actor, 2),
    Trouble("fill disk", fill_disk),
    Trouble("lock log", lock_log),
    Trouble("receiver fails", receiver_fails, 2),
    Trouble("receiver dawdles", receiver_dawdles),
    Trouble("receiver away", receiver_is_away),
    Trouble("receiver gone", receiver_is_gone),
)

SLOW = (
    Trouble("deaf", fall_deaf),
    Trouble("login hangs", hang_login),
    Trouble("dial hangs", hang_dial),
)
"""What takes most of a minute to notice."""
