"""What WhatsApp and the line to it do to numbers."""

import os
import signal
import time
from collections.abc import Callable

from chaos_line import UNUSABLE, Doom, Line
from chaos_scene import Scene, Trouble
from chatbot_erp.sandbox.faults import (
    Burst,
    CutShort,
    Drop,
    DuplicateReceipts,
    Fault,
    HangDial,
    LoggedOut,
    LoginFailure,
    Refuse,
    RefuseSend,
    Replaced,
    ReversedReceipts,
    Silence,
    SlowAcks,
    StreamError,
)
from fault_matrix import Number, holders, spoiled

BURST = 20


def blow(fault: Fault) -> Callable[[Scene], None]:
    """At one number."""
    return lambda scene: scene.pick().phone.fault(fault)


def at_login(fault: Fault) -> Callable[[Scene], None]:
    """One number has to log in anew, and meets this."""

    def strike(scene: Scene) -> None:
        phone = scene.pick().phone
        phone.fault(fault)
        phone.fault(Drop())

    return strike


def at_everybody(*faults: Fault) -> Callable[[Scene], None]:
    def strike(scene: Scene) -> None:
        for fault in faults:
            scene.network.fault(fault)

    return strike


def kept_out(*, reset: bool) -> Callable[[Scene], None]:
    """A process is killed, and the first attempts of the next one get no further than the proxy."""

    def strike(scene: Scene) -> None:
        scene.network.fault(Refuse(times=3, reset=reset))
        scene.signal_host(signal.SIGKILL)

    return strike


def for_a_moment(fault: Fault, seconds: float, *, drop: bool = False) -> Callable[[Scene], None]:
    def strike(scene: Scene) -> None:
        phone = scene.pick().phone
        phone.fault(fault)
        if drop:
            phone.fault(Drop())
        time.sleep(seconds)
        phone.heal()

    return strike


def burst(scene: Scene) -> None:
    line = scene.pick()
    begin = f"para {line.name} em rajada {len(scene.struck)}"
    with line.lock:
        line.phone.fault(Burst(sender=scene.customers[0].number, count=BURST, text=f"{begin}.{{n}}"))
        line.written.update({f"{begin}.{number}": time.time() for number in range(1, BURST + 1)})


def fall_silent(scene: Scene) -> None:
    """For as long as it takes to play a few more, until it is the next one's turn."""
    break_silence(scene)
    scene.silenced = scene.pick()
    scene.silenced.phone.fault(Silence())


def break_silence(scene: Scene) -> None:
    """And the connection with it: what was said into the silence has no answer to wait for."""
    if scene.silenced is not None:
        scene.silenced.phone.heal()
        scene.silenced.phone.fault(Drop())
        scene.silenced = None


def replace(scene: Scene) -> None:
    """Another client takes the session over; the one before is asked back by a person."""
    scene.ask_back()
    line = scene.pick_connected()
    scene.replaced, line.was_replaced = line, True
    line.phone.fault(Replaced())


def restart(scene: Scene) -> None:
    """Somebody asks for it."""
    scene.manager.call("POST", f"/instances/{scene.pick().name}/restart")


def fall_deaf(scene: Scene) -> None:
    """The connection stands and nothing comes back, until the watchdog has had enough."""
    if scene.deaf is None:
        line = scene.pick_connected()
        # Who was about to reconnect meets the silence at the login instead.
        scene.fall_deaf(line, "deaf", "socket_failed")
        line.phone.fault(Silence())


def hang_login(scene: Scene) -> None:
    """The same for a login that is never answered."""
    if scene.deaf is None:
        line, host = carried(scene)
        line.phone.fault(Silence())
        scene.signal_host(signal.SIGKILL, host)
        scene.fall_deaf(line, "socket_failed")


def hang_dial(scene: Scene) -> None:
    """Whoever dials next gets no answer for a minute: one that somebody restarts, or another that has to just then."""
    scene.network.fault(HangDial(times=1))
    restart(scene)


def carried(scene: Scene) -> tuple[Line, int]:
    """A number that is connected, and the process that has its session open."""
    while True:
        line = scene.pick_connected()
        if len(hosts := holders(scene.manager, line.id)) == 1 and hosts[0] not in scene.hung:
            return line, hosts[0]


def ruin(doom: Doom, *faults: Fault) -> Callable[[Scene], None]:
    """A number is lost for good."""

    def strike(scene: Scene) -> None:
        line = scene.pick()
        scene.doom(line, doom)
        for fault in faults:
            line.phone.fault(fault)

    return strike


def spoil(scene: Scene) -> None:
    """The session of a number is damaged, and its process ends: for its neighbours that is a kill."""
    line, host = carried(scene)
    while line not in (together := scene.stop_host(host)):
        os.kill(host, signal.SIGCONT)
        line, host = carried(scene)
    scene.doom(line, UNUSABLE)
    scene.note_killed(together, "damage")
    spoiled(Number(scene.manager, line.name, line.id, line.phone))


BY_THE_NETWORK = (
    Trouble("drop", blow(Drop()), 4),
    Trouble("end stream (503)", blow(StreamError(code=503)), 2),
    Trouble("unknown complaint", blow(StreamError(code=500, hang_up=False))),
    Trouble("drop all", at_everybody(Drop()), is_wide=True),
    Trouble("end all streams (503)", at_everybody(StreamError(code=503)), is_wide=True),
    Trouble("refuse all", at_everybody(Refuse(times=10), Drop()), is_wide=True),
    Trouble("reset all", at_everybody(Refuse(times=10, reset=True), Drop()), is_wide=True),
    Trouble("kill, and 503 at first", kept_out(reset=False)),
    Trouble("kill, and reset at first", kept_out(reset=True)),
    Trouble("login refused", at_login(Refuse(times=2)), 2),
    Trouble("login answered 503", at_login(LoginFailure(reason=503, times=1)), 2),
    Trouble("login answered 499", at_login(LoginFailure(reason=499, times=1))),
    Trouble("banned for 2 s", at_login(LoginFailure(reason=402, expire_s=2, times=1)), 2),
    Trouble("let in and cut off", for_a_moment(CutShort(), 1, drop=True)),
    Trouble("slow acks", for_a_moment(SlowAcks(delay_s=0.5), 0.7)),
    Trouble("send refused", blow(RefuseSend(times=1)), 2),
    Trouble("receipts thrice", blow(DuplicateReceipts(copies=3)), 2),
    Trouble("receipts reversed", blow(ReversedReceipts())),
    Trouble("burst", burst, 3),
    Trouble("silence", fall_silent, 2),
    Trouble("replaced", replace),
    Trouble("restart", restart, 2),
)

FOR_GOOD = (
    Trouble("locked", ruin(Doom("INVALID", "locked"), LoginFailure(reason=403), Drop()), 0),
    Trouble("client outdated", ruin(Doom("INVALID", "client_outdated"), LoginFailure(reason=405), Drop()), 0),
    Trouble("banned", ruin(Doom("INVALID", "banned"), LoginFailure(reason=406), Drop()), 0),
    Trouble(
        "banned for hours",
        ruin(Doom("DISCONNECTED", "temporarily_banned"), LoginFailure(reason=402, expire_s=36_000), Drop()),
        0,
    ),
    Trouble("logged out", ruin(Doom("removed", "logged_out"), LoggedOut()), 0),
    Trouble("login answered 401", ruin(Doom("removed", "logged_out"), LoginFailure(reason=401), Drop()), 0),
    Trouble("session damaged", spoil, 0),
)
