"""How a number is paired, with a library that obeys the test: codes, their end, and when it counts as linked."""

import queue
import time
from pathlib import Path

import pytest

from chatbot_erp.actors import frames, wa_pairing
from chatbot_erp.actors.wa_session import SessionFile
from wa_scene import PATIENCE_S, Scene, jid, neonize


@pytest.fixture
def pairing(tmp_path: Path) -> Scene:
    return Scene(tmp_path, pairing=True)


def test_codes_are_offered_with_the_time_they_are_good_for(pairing: Scene) -> None:
    for code in ("one", "two", "three"):
        pairing.client.hearing.qr(code)
    offered = [pairing.next() for _ in range(3)]
    assert offered == [
        frames.SocketOfferedQr(qr="one", valid_s=60.0),
        frames.SocketOfferedQr(qr="two", valid_s=20.0),
        frames.SocketOfferedQr(qr="three", valid_s=20.0),
    ]


def test_codes_that_ran_out_end_the_pairing(pairing: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wa_pairing, "FIRST_QR_S", 0.0)
    pairing.client.hearing.qr("one")
    pairing.next()
    pairing.client.hearing.login_word("timeout")
    assert pairing.next() == frames.SocketPairingExpired()


def test_a_connection_lost_while_a_code_is_shown_is_not_an_expired_code(pairing: Scene) -> None:
    pairing.client.hearing.qr("one")
    pairing.next()
    pairing.client.hearing.login_word("timeout")
    ended = pairing.next()
    assert isinstance(ended, frames.SocketEnded)
    assert ended.cause == "unavailable"


@pytest.mark.parametrize(
    ("word", "cause"), [("err-client-outdated", "client_outdated"), ("err-unexpected-state", "pairing_failed")]
)
def test_a_pairing_that_fails_says_why(pairing: Scene, word: str, cause: str) -> None:
    pairing.client.hearing.login_word(word)
    ended = pairing.next()
    assert isinstance(ended, frames.SocketEnded)
    assert ended.cause == cause


def test_a_phone_without_several_devices_may_scan_again(pairing: Scene) -> None:
    pairing.client.hearing.login_word("err-scanned-without-multidevice")
    assert pairing.seen.empty()


def test_a_number_is_paired_when_it_has_connected(pairing: Scene) -> None:
    pairing.client.hearing.login_word("success")
    assert pairing.seen.empty()
    pairing.connect()
    assert pairing.next() == frames.SocketPaired(jid="5511@s.whatsapp.net", lid="9@lid")
    assert pairing.seen.empty()


def test_a_number_is_paired_when_it_knows_its_name(pairing: Scene) -> None:
    pairing.client.name = ""
    pairing.client.hearing.login_word("success")
    pairing.connect()
    with pytest.raises(queue.Empty):
        pairing.seen.get(timeout=0.2)
    pairing.client.name = "Empresa X"
    assert isinstance(pairing.next(), frames.SocketPaired)


def test_a_number_that_is_not_yet_paired_does_not_stand_as_logged_in(pairing: Scene) -> None:
    """Whoever asks meanwhile, as after trouble with the log, would else replace the socket that is to say whose it is."""
    pairing.client.name = ""
    pairing.client.hearing.login_word("success")
    pairing.connect()
    assert pairing.socket.standing() == frames.SocketStands(connected=True, logged_in=False)
    pairing.client.name = "Empresa X"
    assert isinstance(pairing.next(), frames.SocketPaired)
    until = time.monotonic() + PATIENCE_S
    while not pairing.socket.standing().logged_in:
        assert time.monotonic() < until, "a word that the log refused is made good by how it stands"
        time.sleep(0.01)


def test_a_number_whose_phone_tells_no_name_is_paired_all_the_same(
    pairing: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wa_pairing, "NAME_PATIENCE_S", 0.01)
    pairing.client.name = ""
    pairing.connect()
    assert isinstance(pairing.next(), frames.SocketPaired)


def test_a_number_that_does_not_connect_after_pairing_is_paired_all_the_same(
    pairing: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wa_pairing, "PAIRED_PATIENCE_S", 0.01)
    pairing.hear(neonize.Device(JID=jid("5511", "s.whatsapp.net"), LID=jid("9", "lid")))
    pairing.client.hearing.login_word("success")
    assert isinstance(pairing.next(), frames.SocketPaired)


class SlowSession(SessionFile):
    """Keeps a device so slowly that another may come in between."""

    kept = 0

    def keep(self, device: str) -> None:
        self.kept += 1
        until = time.monotonic() + 0.5
        while self.kept == 1 and time.monotonic() < until:
            time.sleep(0.01)


def test_a_number_that_connects_when_its_patience_ends_is_paired_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wa_pairing, "PAIRED_PATIENCE_S", 0.0)
    sessions: list[SlowSession] = []

    def session_at(path: Path) -> SlowSession:
        sessions.append(SlowSession(path))
        return sessions[0]

    pairing = Scene(tmp_path, pairing=True, session_at=session_at)
    pairing.hear(neonize.Device(JID=jid("5511", "s.whatsapp.net"), LID=jid("9", "lid")))
    for _ in range(2):
        pairing.client.hearing.login_word("success")
    assert isinstance(pairing.next(), frames.SocketPaired)
    assert sessions[0].kept == 1


def test_a_number_is_paired_where_the_end_of_its_former_device_stays_noted(pairing: Scene, tmp_path: Path) -> None:
    (tmp_path / "s" / "a.db.logged_out").mkdir()
    pairing.connect()
    assert isinstance(pairing.next(), frames.SocketPaired)


def test_a_pairing_code_is_offered_or_refused(pairing: Scene) -> None:
    ask = frames.OfferPairingCode(instance="a", command_id="c", number="5511")
    assert pairing.socket.offer_pairing_code(ask) == frames.SocketOfferedCode(command_id="c", code="ABCD-1234")
    ask = frames.OfferPairingCode(instance="a", command_id="c", number="0")
    assert isinstance(pairing.socket.offer_pairing_code(ask), frames.SocketRefusedCode)
