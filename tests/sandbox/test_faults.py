"""Each fault once, as the real library sees it."""

from __future__ import annotations

import select
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any
from urllib.parse import urlsplit

import pytest

from chatbot_erp.sandbox import faults
from chatbot_erp.sandbox.client import Network

DELIVERED, READ = 1, 4


def test_a_dropped_companion_comes_back_by_itself(shop: Any, maria: Any) -> None:
    before = shop.now()
    shop.phone.fault(faults.Drop())
    shop.wait("disconnected", after=before)
    shop.wait("connected", after=before)
    shop.wait("message", id=maria.send(shop.phone.number, "back again"))


def test_a_stream_error_503_ends_in_a_reconnect(shop: Any) -> None:
    before = shop.now()
    shop.phone.fault(faults.StreamError())
    shop.wait("disconnected", after=before)
    shop.wait("connected", after=before)


def test_a_replaced_companion_stays_away(shop: Any) -> None:
    before = shop.now()
    shop.phone.fault(faults.Replaced())
    shop.wait("replaced", after=before)
    shop.phone.wait_offline()


def test_a_second_login_of_the_same_session_replaces_the_first(shop: Any) -> None:
    first = shop.name
    shop.start()
    shop.wait("connected")
    shop.wait_for(first, "replaced")
    assert shop.phone.is_online


def test_a_logout_by_the_phone_erases_the_session(shop: Any) -> None:
    shop.phone.unlink()
    assert shop.wait("logged_out")["login"] is False
    assert shop.phone.view().companions == 0


def test_a_logout_while_away_is_told_at_the_next_login(shop: Any) -> None:
    shop.ask("stop")
    shop.phone.wait_offline()
    shop.phone.unlink()
    shop.start()
    assert shop.wait("logged_out")["login"] is True


def test_a_logout_by_the_companion_unlinks_it(shop: Any) -> None:
    shop.ask("logout")
    shop.phone.wait_offline()
    assert shop.phone.view().companions == 0


@pytest.mark.parametrize(
    ("failure", "event", "details"),
    [
        (faults.LoginFailure(reason=401), "logged_out", {"login": True}),
        (faults.LoginFailure(reason=403), "logged_out", {"login": True}),
        (faults.LoginFailure(reason=406), "logged_out", {"login": True}),
        (faults.LoginFailure(reason=405), "outdated", {}),
        (faults.LoginFailure(reason=402, expire_s=3600), "banned", {}),
    ],
    ids=lambda value: str(value.reason) if isinstance(value, faults.LoginFailure) else "",
)
def test_a_failed_login_is_reported_with_its_reason(
    shop: Any, failure: faults.LoginFailure, event: str, details: dict[str, Any]
) -> None:
    shop.phone.fault(failure)
    shop.phone.fault(faults.Drop())
    shop.wait(event, **details)


@pytest.mark.parametrize("reason", [500, 503])
def test_the_servers_own_trouble_passes_and_the_companion_returns(shop: Any, reason: int) -> None:
    before = shop.now()
    shop.phone.fault(faults.LoginFailure(reason=reason, times=1))
    shop.phone.fault(faults.Drop())
    shop.wait("connected", after=before)


def test_a_refused_number_is_back_when_it_is_let_in_again(shop: Any) -> None:
    before = shop.now()
    shop.phone.fault(faults.Refuse(times=1))
    shop.phone.fault(faults.Drop())
    shop.wait("connected", after=before)


def test_a_proxy_that_refuses_lets_nobody_in(own_network: Any) -> None:
    network, companion = own_network
    network.fault(faults.Refuse(times=1))
    companion.start()
    assert "Service Unavailable" in companion.wait("refused")["error"]
    assert network.stats().refused_total == 1
    companion.pair()


def test_a_dial_that_hangs_is_taken_and_not_answered_and_the_next_one_is(own_network: Any) -> None:
    network, _ = own_network
    network.fault(faults.HangDial(times=1))
    proxy = urlsplit(network.proxy_url)
    with ExitStack() as stack:
        dials = [
            stack.enter_context(socket.create_connection((proxy.hostname, proxy.port), timeout=60.0)) for _ in range(2)
        ]
        for dial in dials:
            dial.sendall(b"CONNECT web.whatsapp.com:443 HTTP/1.1\r\n\r\n")
        (answered,) = select.select(dials, [], [], 60.0)[0]
        assert answered.recv(64).startswith(b"HTTP/1.1 200 ")
        dials.remove(answered)
        assert select.select(dials, [], [], 0)[0] == [], "neither an answer nor an end"


def test_a_silent_network_takes_nothing_and_delivers_afterwards(shop: Any, maria: Any) -> None:
    shop.send(maria, "before")
    maria.receive(text="before")
    shop.phone.fault(faults.Silence())
    kept = maria.send(shop.phone.number, "are you deaf?")
    with ThreadPoolExecutor() as threads:
        unanswered = threads.submit(shop.send, maria, "into the silence")
        with pytest.raises(TimeoutError):
            unanswered.result(0.3)
        assert [message.text for message in maria.inbox()] == ["before"]
        shop.phone.heal()
        shop.wait("message", id=kept)
        # What was lost in the silence is sent again by the library when its connection ends.
        shop.phone.fault(faults.Drop())
        assert maria.receive(text="into the silence").id == unanswered.result(60)


def test_a_message_that_is_sent_twice_arrives_once(shop: Any, maria: Any, network: Network) -> None:
    shop.send(maria, "before")
    shop.phone.fault(faults.SlowAcks(delay_s=0.5))
    late = network.stats().messages_late
    with ThreadPoolExecutor() as threads:
        sending = threads.submit(shop.send, maria, "hurry")
        while network.stats().messages_late == late and not sending.done():
            time.sleep(0.01)
        shop.phone.fault(faults.Drop())
        shop.phone.wait_offline()
        shop.phone.wait_online()
        sending.result(60)
    shop.phone.heal()
    shop.send(maria, "after")
    maria.receive(text="after")
    assert [message.text for message in maria.inbox()] == ["before", "hurry", "after"]


def test_acks_can_be_slow(shop: Any, maria: Any) -> None:
    shop.send(maria, "quick")
    shop.phone.fault(faults.SlowAcks(delay_s=0.5))
    began = time.monotonic()
    shop.send(maria, "slow")
    assert time.monotonic() - began > 0.5


@pytest.mark.parametrize("error", [421, 463, 479])
def test_a_refused_message_raises_and_reaches_nobody(shop: Any, maria: Any, error: int) -> None:
    shop.phone.fault(faults.RefuseSend(error=error, times=1))
    with pytest.raises(RuntimeError, match=str(error)):
        shop.send(maria, "refused")
    shop.send(maria, "accepted")
    maria.receive(text="accepted")
    assert [message.text for message in maria.inbox()] == ["accepted"]


def test_receipts_can_be_doubled(shop: Any, maria: Any) -> None:
    shop.phone.fault(faults.DuplicateReceipts(copies=3))
    sent = shop.send(maria, "thrice")
    shop.phone.heal()
    last = shop.send(maria, "once")
    shop.wait_receipt(last, READ)
    assert shop.receipts(sent) == [DELIVERED] * 3 + [READ] * 3


def test_receipts_can_be_reversed(shop: Any, maria: Any) -> None:
    shop.phone.fault(faults.ReversedReceipts())
    sent = shop.send(maria, "backwards")
    shop.wait_receipt(sent, DELIVERED)
    assert shop.receipts(sent) == [READ, DELIVERED]


def test_an_undecryptable_message_is_asked_for_again(shop: Any, maria: Any) -> None:
    shop.wait("message", id=maria.send(shop.phone.number, "readable"))
    before = shop.now()
    shop.phone.fault(faults.Undecryptable(sender=maria.number, text="second try"))
    assert shop.wait("undecryptable", after=before)["unavailable"] is False
    shop.wait("message", text="second try", after=before)
    shop.wait("message", id=maria.send(shop.phone.number, "and on it goes"))


def test_an_undecryptable_message_can_be_lost_for_good(shop: Any, maria: Any) -> None:
    before = shop.now()
    shop.phone.fault(faults.Undecryptable(sender=maria.number, text="never", recoverable=False))
    shop.wait("undecryptable", after=before)
    shop.wait("message", id=maria.send(shop.phone.number, "next"))
    assert shop.texts(after=before) == ["next"]


def test_a_message_can_be_kept_from_companions(shop: Any, maria: Any) -> None:
    before = shop.now()
    shop.phone.fault(faults.Unavailable(sender=maria.number))
    assert shop.wait("undecryptable", after=before)["unavailable"] is True
    shop.wait("message", id=maria.send(shop.phone.number, "this one you may read"))
    assert shop.texts(after=before) == ["this one you may read"]


def test_a_phone_that_cannot_read_a_message_gets_it_again(shop: Any, maria: Any) -> None:
    shop.send(maria, "first")
    shop.wait("message", id=maria.send(shop.phone.number, "so that both have a session"))
    shop.phone.fault(faults.Amnesia())
    sent = shop.send(maria, "say that again")
    assert maria.receive(text="say that again").id == sent
    shop.wait("message", id=maria.send(shop.phone.number, "understood"))


def test_the_own_phone_too_gets_a_message_again_and_goes_on(shop: Any, maria: Any) -> None:
    shop.phone.fault(faults.Amnesia())
    sent = shop.send(shop.phone, "ping")
    assert shop.phone.receive(text="ping").id == sent
    copy = shop.phone.send(maria.number, "from the phone itself")
    assert shop.wait("message", id=copy)["chat"] == f"{maria.lid}@lid"


def test_a_burst_arrives_whole_and_in_order(shop: Any, maria: Any) -> None:
    before = shop.now()
    shop.phone.fault(faults.Burst(sender=maria.number, count=200, text="n {n}"))
    shop.wait("message", text="n 200", after=before)
    assert shop.texts(after=before) == [f"n {n}" for n in range(1, 201)]


def test_the_whole_network_can_be_dropped_at_once(own_network: Any) -> None:
    network, companion = own_network
    companion.pair()
    before = companion.now()
    network.fault(faults.Drop())
    companion.wait("disconnected", after=before)
    companion.wait("connected", after=before)
