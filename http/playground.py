"""The sandbox's controls: there is no such route unless the manager runs on the built-in network."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from chatbot_erp.actors.errors import InstanceNotOperational
from chatbot_erp.actors.manager import Manager
from chatbot_erp.actors.phone_numbers import digits
from chatbot_erp.http.bodies import parse
from chatbot_erp.http.exchange import Request, Response
from chatbot_erp.http.media import json_body
from chatbot_erp.http.playground_payloads import ContactMessage, ContactMessageRequest, FaultRequest, ScanRequest
from chatbot_erp.http.problems import NO_QR, SANDBOX_REFUSED, RequestRefused


class Playground(Protocol):
    """The network. Methods raise ValueError where it refuses, and TimeoutError; both with a sentence."""

    def scan(self, number: str, qr: str) -> None: ...
    def send(self, sender: str, to: str, text: str) -> str: ...
    def play(self, fault: str, number: str) -> None: ...
    def heal(self) -> None: ...


class Scan:
    """A phone of the sandbox scans an instance's code."""

    def __init__(self, manager: Manager, playground: Playground) -> None:
        self._manager = manager
        self._playground = playground

    def on_post(self, req: Request, resp: Response, name: str) -> None:
        phone = parse(json_body(req), ScanRequest)
        qr = self._manager.directory.view(name).qr
        if qr is None:
            raise RequestRefused(NO_QR)
        with refusing():
            self._playground.scan(digits(phone.number), qr.text)
        resp.status = 204


class Contact:
    """A contact of the sandbox writes to an instance."""

    def __init__(self, manager: Manager, playground: Playground) -> None:
        self._manager = manager
        self._playground = playground

    def on_post(self, req: Request, resp: Response, name: str) -> None:
        wanted = parse(json_body(req), ContactMessageRequest)
        own = number_of(self._manager, name)
        with refusing():
            message_id = self._playground.send(digits(wanted.number), own, wanted.message)
        resp.send(ContactMessage(message_id=message_id))


class Faults:
    """What goes wrong on purpose."""

    def __init__(self, manager: Manager, playground: Playground) -> None:
        self._manager = manager
        self._playground = playground

    def on_post(self, req: Request, resp: Response, name: str) -> None:
        wanted = parse(json_body(req), FaultRequest)
        number = number_of(self._manager, name)
        with refusing():
            self._playground.play(wanted.fault, number)
        resp.status = 204

    def on_delete(self, req: Request, resp: Response, name: str) -> None:
        self._manager.directory.view(name)
        with refusing():
            self._playground.heal()
        resp.status = 204


@contextmanager
def refusing() -> Iterator[None]:
    """What the network refuses is refused to the caller. Raises `RequestRefused`."""
    try:
        yield
    except (ValueError, TimeoutError) as ex:
        raise RequestRefused(SANDBOX_REFUSED, str(ex)) from ex


def number_of(manager: Manager, name: str) -> str:
    """The number of an instance's account. Raises `InstanceNotFound`, and `InstanceNotOperational` if it has none."""
    account = manager.directory.view(name).account
    if account is None:
        raise InstanceNotOperational("The instance is not linked to a phone.")
    return account.jid.partition("@")[0].partition(":")[0]
