"""The network as somebody at a dashboard plays with it: phones by their number, faults by their name."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from chatbot_erp.sandbox.client import Network
from chatbot_erp.sandbox.control_connection import SandboxError
from chatbot_erp.sandbox.faults import (
    Drop,
    Fault,
    LoggedOut,
    LoginFailure,
    Refuse,
    RefuseSend,
    Replaced,
    Silence,
    SlowAcks,
    StreamError,
)

FAULTS: dict[str, tuple[Fault, ...]] = {
    "drop": (Drop(),),
    "stream_error": (StreamError(),),
    "replaced": (Replaced(),),
    "logged_out": (LoggedOut(),),
    "silence": (Silence(),),
    # What happens to a login shows only at the next one.
    "refuse": (Refuse(), Drop()),
    "banned": (LoginFailure(reason=402, expire_s=60, times=1), Drop()),
    "slow_acks": (SlowAcks(delay_s=5),),
    "refuse_send": (RefuseSend(times=1),),
}

CUSTOMER = "559199999999"
"""Somebody to write to from the first minute: the number of the handbook's examples."""


SCAN_PATIENCE_S = 60.0
"""Somebody looks on."""


class Playground:
    """Any thread. Methods raise ValueError where the network refuses, and TimeoutError; both with a sentence."""

    def __init__(self, network: Network) -> None:
        self._network = network
        network.phone(CUSTOMER, name="Maria")

    def scan(self, number: str, qr: str) -> None:
        """Have the phone of this number scan a code, and wait until the link is accepted."""
        with refusing():
            self._network.phone(number).scan(qr, timeout_s=SCAN_PATIENCE_S)

    def send(self, sender: str, to: str, text: str) -> str:
        """Have the phone of `sender` send a text; the message's id."""
        with refusing():
            return self._network.phone(sender).send(to, text)

    def play(self, fault: str, number: str) -> None:
        """Play a fault of `FAULTS` on the companions of a number."""
        with refusing():
            for each in FAULTS[fault]:
                self._network.fault(each, number=number)

    def heal(self) -> None:
        """End every lasting fault."""
        with refusing():
            self._network.heal()


@contextmanager
def refusing() -> Iterator[None]:
    """What the network does not do is a ValueError."""
    try:
        yield
    except SandboxError as ex:
        raise ValueError(str(ex)) from ex
