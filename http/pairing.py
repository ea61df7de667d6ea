"""Two ways for a phone to link an instance: a QR code to scan, and a code to type."""

from collections import OrderedDict
from uuid import uuid4

from chatbot_erp.actors.manager import Manager
from chatbot_erp.http import bodies, payloads, qr_images
from chatbot_erp.http.exchange import Request, Response
from chatbot_erp.http.idempotency import Concealing
from chatbot_erp.http.media import choose, json_body
from chatbot_erp.http.problems import NO_QR, RequestRefused

CODES_IN_MEMORY = 256


class QrCode:
    """The QR code that waits for the phone, as a picture."""

    def __init__(self, manager: Manager) -> None:
        self._manager = manager

    def on_get(self, req: Request, resp: Response, name: str) -> None:
        form = choose(req, resp, tuple(qr_images.FORMS))
        qr = self._manager.directory.view(name).qr
        if qr is None:
            raise RequestRefused(NO_QR)
        resp.content_type = form
        resp.data = qr_images.FORMS[form](qr.text)


class PairingCodes(Concealing):
    """A code that is typed into the phone.

    It is a credential, so no answer with one is ever on disk: a repeated request gets it from memory, and where the
    process that had it is gone the code is void and a new one is asked for.
    """

    def __init__(self, manager: Manager) -> None:
        self._manager = manager
        self._answers: OrderedDict[str, bytes] = OrderedDict()

    def on_post(self, req: Request, resp: Response, name: str) -> None:
        phone = bodies.parse(json_body(req), payloads.PairingRequest)
        resp.send(payloads.PairingCode(code=self._manager.pairing_code(name, phone.number)))

    def conceal(self, body: bytes) -> bytes:
        """A word that stands for the answer."""
        word = str(uuid4())
        self._answers[word] = body
        while len(self._answers) > CODES_IN_MEMORY:
            self._answers.popitem(last=False)
        return word.encode()

    def reveal(self, kept: bytes) -> bytes | None:
        """The answer that the word stands for, or None if it is forgotten."""
        return self._answers.get(kept.decode())
