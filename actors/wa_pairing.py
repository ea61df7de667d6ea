"""How one number is linked with its phone: the codes that are shown, and when it is."""

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from chatbot_erp.actors.frames import SocketEnded, SocketOfferedQr, SocketPaired, SocketPairingExpired
from chatbot_erp.actors.wa_client import Client, LibraryError
from chatbot_erp.actors.wa_message import jid_text
from chatbot_erp.actors.wa_port import Report
from chatbot_erp.actors.wa_session import Session
from chatbot_erp.actors.wa_watch import Watch, later

FIRST_QR_S, NEXT_QR_S = 60.0, 20.0
PAIRED_PATIENCE_S = 30.0

NAME_PATIENCE_S = 5.0
"""The phone tells a new device its owner's name in the first moment, and no more once the socket was made anew. Who does
not know its name cannot be shown online."""

NAME_LOOK_S = 0.05


class Pairing:
    """Over one client, whose threads call it. `me` is the device as the library has it, None before there is one.

    `end` is called when there will be no link: a person must ask for another attempt.
    """

    def __init__(
        self,
        client: Client,
        session: Session,
        watch: Watch,
        *,
        wanted: bool,
        me: Callable[[], Any],
        report: Report,
        end: Callable[[SocketEnded | SocketPairingExpired], None],
    ) -> None:
        self._client = client
        self._session = session
        self._watch = watch
        self._me = me
        self._report = report
        self._end = end
        self._code_good_until = 0.0
        self._door = threading.Lock()
        self.is_due = wanted

    def offer(self, qr: str) -> None:
        """The library has another code."""
        valid_s = NEXT_QR_S if self._code_good_until else FIRST_QR_S
        self._code_good_until = time.monotonic() + valid_s
        self._report(SocketOfferedQr(qr=qr, valid_s=valid_s))

    def hear(self, word: str) -> None:
        """What the library says of how it goes."""
        if word == "success":
            # The library then reconnects once, and says nothing at all should that fail. The session is good anyway.
            later(PAIRED_PATIENCE_S, self._finish)
        elif word == "timeout" and time.monotonic() >= self._code_good_until - 1:
            self._end(SocketPairingExpired())
        elif word == "timeout":
            self._end(SocketEnded(cause="unavailable", detail="The connection broke while a code was shown."))
        elif word == "err-client-outdated":
            self._end(SocketEnded(cause="client_outdated"))
        elif word != "err-scanned-without-multidevice":
            self._end(SocketEnded(cause="pairing_failed", detail=word))

    def connected(self) -> None:
        """The linked device is connected for the first time."""
        # On a thread of its own: the library must not be asked while it calls.
        later(0, self._finish_with_name)

    def _finish_with_name(self) -> None:
        until = time.monotonic() + NAME_PATIENCE_S
        with suppress(LibraryError):
            while not (self._watch.is_over or self._client.own_name() or time.monotonic() > until):
                time.sleep(NAME_LOOK_S)
        self._finish()

    def _finish(self) -> None:
        """Once: two threads come here where a phone that has linked us connects late."""
        with self._door:
            self._keep_and_say_so()

    def _keep_and_say_so(self) -> None:
        me = self._me()
        if not self.is_due or me is None or self._watch.is_over:
            return
        own = me.JID
        try:
            self._session.keep(f"{own.User}:{own.Device}@{own.Server}")
        except LibraryError as ex:
            self._end(SocketEnded(cause="pairing_failed", detail=str(ex)))
            return
        self._report(SocketPaired(jid=jid_text(own) or "", lid=jid_text(me.LID)))
        # Not before: who is asked in between how it stands would say that it is linked, ahead of whose number it is.
        self.is_due = False
