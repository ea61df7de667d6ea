"""Traffic both ways, on threads of its own: numbers write to customers over REST, customers write to numbers."""

import itertools
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import requests

from chaos_accounts import Asked
from chaos_line import Line
from chaos_scene import PATIENCE_S, Scene

SENDERS, WRITERS = 4, 2


@contextmanager
def traffic(scene: Scene) -> Iterator[None]:
    """As long as the `with` block lasts. What is on its way then is finished."""
    over = threading.Event()
    workers = [
        *(threading.Thread(target=_send, args=(scene, part, over)) for part in range(SENDERS)),
        *(threading.Thread(target=_write, args=(scene, part, over)) for part in range(WRITERS)),
    ]
    for worker in workers:
        worker.start()
    try:
        yield
    finally:
        over.set()
        for worker in workers:
            worker.join()


def _send(scene: Scene, part: int, over: threading.Event) -> None:
    """Numbers write to a customer. Every other caller has a key, and asks again when the connection breaks."""
    with requests.Session() as session:
        session.trust_env = False
        for count in itertools.count():
            for line in scene.lines[part::SENDERS]:
                scene.up.wait(60)
                if over.wait(0.02):
                    return
                text = f"{line.name} diz {count}"
                line.asked[text] = Asked(scene.customers[part].number, None)
                line.asked[text] = ask(scene, session, line, part, text, again=part % 2 == 0)
            time.sleep(0.02)


def ask(scene: Scene, session: requests.Session, line: Line, part: int, text: str, *, again: bool) -> Asked:
    """Have a number send this to a customer; `again` and again until there is an answer, which is safe with a key."""
    to = scene.customers[part].number
    headers = {"Idempotency-Key": f"{line.id}-{text}".replace(" ", "-")} if again else {}
    deadline = time.monotonic() + PATIENCE_S
    while True:
        url = f"{scene.manager.url}/instances/{line.name}/message"
        try:
            answer = session.post(url, json={"number": to, "message": text}, headers=headers, timeout=PATIENCE_S)
        except requests.RequestException:
            # Where no manager comes back the run has failed, and must not hang as well.
            if not again or time.monotonic() > deadline:
                return Asked(to, None)
            time.sleep(0.05)
            scene.up.wait(PATIENCE_S)
        else:
            sent = answer.status_code == 200
            return Asked(to, answer.status_code, answer.json()["messageId"] if sent else None)


def _write(scene: Scene, part: int, over: threading.Event) -> None:
    """A customer writes to numbers."""
    for count in itertools.count():
        for line in scene.lines[part::WRITERS]:
            if over.is_set():
                return
            write(scene, line, part, f"para {line.name} {count}")
        over.wait(0.5)


def write(scene: Scene, line: Line, part: int, text: str) -> None:
    with line.lock:
        line.written[text] = time.time()
        scene.customers[part].send(line.phone.number, text)
