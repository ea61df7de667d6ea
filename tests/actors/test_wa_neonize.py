"""The real library in a real host, against the sandbox network."""

import os
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing

import pytest

from chatbot_erp.actors import frames
from chatbot_erp.sandbox.client import Network
from chatbot_erp.sandbox.faults import Burst, Drop, Fault, LoggedOut, LoginFailure, Refuse, RefuseSend, Replaced
from socket_world import PATIENCE_S, Number, World


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with Network.start() as network:
        world = World(network, tmp_path_factory.mktemp("data"))
        yield world
        for host in world.hosts:
            host.process.end(PATIENCE_S)


def test_a_scanned_number_is_paired_and_connects_in_another_host(world: World) -> None:
    number = world.number()
    host = world.host()
    host.open(number, pairing=True)
    offered = host.see(number.name, frames.SocketOfferedQr)
    assert offered.valid_s == 60.0
    number.phone.scan(offered.qr)
    paired = host.see(number.name, frames.SocketPaired)
    assert (paired.jid, paired.lid) == (number.phone.jid, f"{number.phone.lid}@lid")
    assert host.process.end(PATIENCE_S)
    death = host.deaths.get(timeout=PATIENCE_S)
    assert death.exit_code == 0
    assert offered.qr not in death.stderr_tail
    world.shared.open(number, ping=True)
    connected = world.shared.see(number.name, frames.SocketConnected)
    assert (connected.jid, connected.lid) == (number.phone.jid, f"{number.phone.lid}@lid")
    pinged = world.shared.see(number.name, frames.SocketPinged)
    assert pinged.error == ""
    assert pinged.message_id
    assert stat.S_IMODE(number.session.stat().st_mode) == 0o600
    world.shared.close(number)
    with closing(sqlite3.connect(number.session)) as session:
        assert session.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_a_pairing_code_links_as_well_as_a_scan(world: World) -> None:
    number = world.number()
    host = world.host()
    host.open(number, pairing=True)
    host.see(number.name, frames.SocketOfferedQr)
    host.process.order(frames.OfferPairingCode(instance=number.name, command_id="c", number=number.phone.number))
    offered = host.see(number.name, frames.SocketOfferedCode)
    assert offered.command_id == "c"
    number.phone.enter_code(offered.code)
    assert host.see(number.name, frames.SocketPaired).jid == number.phone.jid
    host.process.order(frames.EndHost())
    death = host.deaths.get(timeout=PATIENCE_S)
    assert offered.code not in death.stderr_tail


def test_a_text_arrives_and_its_receipts_come_back(world: World) -> None:
    number, maria = world.connected(), world.phone("Maria")
    text = "Olá @5511987654321 \u2603\U0001f600 https://example.com"
    world.shared.send(number, maria.number, text)
    sent = world.shared.see(number.name, frames.SocketSent)
    assert (sent.command_id, sent.jid, sent.text) == (text, maria.jid, text)
    assert maria.receive(sender=number.phone.number).text == text
    receipts = [world.shared.see(number.name, frames.SocketSawReceipt) for _ in range(2)]
    assert [(receipt.message_ids, receipt.ack) for receipt in receipts] == [
        ((sent.message_id,), 2),
        ((sent.message_id,), 3),
    ]


def test_what_someone_writes_comes_with_both_jids(world: World) -> None:
    number, maria = world.connected(), world.phone("Maria")
    message_id = maria.send(number.phone.number, "Oi \U0001f600")
    received = world.shared.see(number.name, frames.SocketReceived)
    assert (received.message_id, received.kind, received.text) == (message_id, "text", "Oi \U0001f600")
    assert (received.jid, received.jid_alt, received.push_name) == (f"{maria.lid}@lid", maria.jid, "Maria")


def test_the_ninth_digit_is_found_either_way(world: World) -> None:
    number = world.connected()
    old = world.network.phone("552188887777", name="Old")
    world.shared.send(number, "5521988887777", "to the old spelling")
    assert world.shared.see(number.name, frames.SocketSent).jid == old.jid
    assert old.receive(sender=number.phone.number).text == "to the old spelling"


def test_a_send_that_cannot_be_says_why(world: World) -> None:
    number, maria = world.connected(), world.phone("Maria")
    world.shared.send(number, "4999999999999", "nobody")
    assert world.shared.see(number.name, frames.SocketFailedToSend).reason == "not_on_whatsapp"
    number.phone.fault(RefuseSend(error=479, times=1))
    world.shared.send(number, maria.number, "refused")
    refused = world.shared.see(number.name, frames.SocketFailedToSend)
    assert (refused.reason, refused.detail) == ("addressing_rejected", "server returned error 479")
    assert refused.jid == maria.jid
    world.shared.close(number)
    world.shared.send(number, maria.number, "closed")
    assert world.shared.see(number.name, frames.SocketFailedToSend).reason == "not_connected"


def test_a_dropped_connection_heals_by_itself(world: World) -> None:
    number = world.connected()
    number.phone.fault(Drop())
    assert world.shared.see(number.name, frames.SocketDisconnected).reason == "dropped"
    world.shared.see(number.name, frames.SocketConnected)
    world.shared.process.order(frames.Repeat(instance=number.name))
    assert world.shared.see(number.name, frames.SocketStands) == frames.SocketStands(connected=True, logged_in=True)


@pytest.mark.parametrize(("fault", "cause"), [(LoggedOut(), "logged_out"), (Replaced(), "stream_replaced")])
def test_a_session_taken_away_ends_the_socket(world: World, fault: Fault, cause: str) -> None:
    number = world.connected()
    number.phone.fault(fault)
    assert world.shared.see(number.name, frames.SocketEnded).cause == cause


@pytest.mark.parametrize(
    ("reason", "cause"),
    [
        (400, "unusable_session"),
        (401, "logged_out"),
        (402, "temporarily_banned"),
        (403, "locked"),
        (405, "client_outdated"),
        (406, "banned"),
        # Of this one neonize says only that it does not know it.
        (415, "socket_failed"),
    ],
)
def test_a_refused_login_has_its_cause(world: World, reason: int, cause: str) -> None:
    number = world.paired()
    number.phone.fault(LoginFailure(reason=reason, expire_s=60))
    world.shared.open(number)
    ended = world.shared.see(number.name, frames.SocketEnded)
    assert ended.cause == cause
    assert (ended.retry_at is not None) == (reason == 402)


@pytest.mark.parametrize(
    ("fault", "cause"),
    [(LoggedOut(), "logged_out"), (LoginFailure(reason=403), "locked"), (LoginFailure(reason=406), "banned")],
)
def test_a_session_that_was_deleted_says_why_to_whoever_opens_it_next(world: World, fault: Fault, cause: str) -> None:
    number = world.connected()
    number.phone.fault(fault)
    number.phone.fault(Drop())
    assert world.shared.see(number.name, frames.SocketEnded).cause == cause
    other = world.host()
    other.open(number)
    assert other.see(number.name, frames.SocketEnded).cause == cause


@pytest.mark.parametrize("expire_s", [None, 0, -1])
def test_a_ban_that_names_no_time_to_come_names_none(world: World, expire_s: int | None) -> None:
    number = world.paired()
    number.phone.fault(LoginFailure(reason=402, expire_s=expire_s))
    world.shared.open(number)
    ended = world.shared.see(number.name, frames.SocketEnded)
    assert (ended.cause, ended.retry_at) == ("temporarily_banned", None)


def test_a_network_that_is_not_there_refuses_the_dial(world: World) -> None:
    number = world.paired()
    world.network.fault(Refuse(times=1))
    world.shared.open(number)
    assert world.shared.see(number.name, frames.SocketEnded).cause == "unavailable"


def test_an_unlinked_number_leaves_the_phone(world: World) -> None:
    number = world.connected()
    assert number.phone.view().companions == 1
    world.shared.close(number, unlink=True)
    assert number.phone.view().companions == 0


def test_a_number_that_is_unlinked_while_it_connects_leaves_the_phone(world: World) -> None:
    number = world.paired()
    world.shared.open(number)
    world.shared.close(number, unlink=True)
    assert number.phone.view().companions == 0


def test_what_came_while_the_socket_was_closed_comes_when_it_opens(world: World) -> None:
    number, maria = world.connected(), world.phone("Maria")
    world.shared.close(number)
    number.phone.wait_offline()
    maria.send(number.phone.number, "are you there?")
    world.shared.open(number)
    assert world.shared.see(number.name, frames.SocketReceived).text == "are you there?"


def test_closing_in_the_middle_of_a_burst_loses_nothing(world: World) -> None:
    number, maria = world.connected(), world.phone("Maria")
    texts: list[str] = []
    for _ in range(3):
        number.phone.fault(Burst(sender=maria.number, count=100))
        texts.append(world.shared.see(number.name, frames.SocketReceived).text)
        world.shared.process.order(frames.CloseSocket(instance=number.name))
        word = world.shared.of(number.name).get(timeout=PATIENCE_S).observation
        while not isinstance(word, frames.SocketClosed):
            texts.extend([word.text] if isinstance(word, frames.SocketReceived) else [])
            word = world.shared.of(number.name).get(timeout=PATIENCE_S).observation
        number.phone.wait_offline()
        world.shared.open(number)
    while len(texts) < 300:
        texts.append(world.shared.see(number.name, frames.SocketReceived).text)
    assert sorted(texts) == sorted([f"burst {n}" for n in range(1, 101)] * 3)


def test_numbers_that_come_and_go_harm_no_other_number_of_their_host(world: World) -> None:
    host = world.host()
    steady, restless = world.connected(host), [world.connected(host) for _ in range(2)]
    maria = world.phone("Maria")
    over = threading.Event()

    def come_and_go(number: Number) -> None:
        while not over.is_set():
            host.close(number)
            host.open(number)
            host.see(number.name, frames.SocketConnected)

    movers = [threading.Thread(target=come_and_go, args=(number,)) for number in restless]
    for mover in movers:
        mover.start()
    for n in range(50):
        host.send(steady, maria.number, f"steady {n}")
        assert host.see(steady.name, frames.SocketSent).text == f"steady {n}"
    over.set()
    for mover in movers:
        mover.join(PATIENCE_S)
    assert host.deaths.empty()


STRESS = """
import os, sys, threading, time
from pathlib import Path
from chatbot_erp.actors.wa_client import Hearing, LibraryError
from chatbot_erp.actors.wa_neonize import NeonizeClient
from chatbot_erp.actors.wa_session import SessionFile
from chatbot_erp.sandbox.trust import trust_root_key

root_key, *sessions = sys.argv[1:]
trust_root_key(root_key)

def nobody(_): pass

def start(session):
    client = NeonizeClient(
        SessionFile(Path(session)), Hearing(event=nobody, garbled=nobody, qr=nobody, login_word=nobody)
    )
    threading.Thread(target=client.connect, daemon=True).start()
    assert client.await_life(10)
    return client

def look():
    while True:
        asked.is_connected()

def change(session):
    for _ in range(100):
        client = start(session)
        client.disconnect()
        client.stop()

asked = start(sessions[0])
for _ in range(2):
    threading.Thread(target=look, daemon=True).start()
changers = [threading.Thread(target=change, args=(session,)) for session in sessions[1:]]
for changer in changers:
    changer.start()
for changer in changers:
    changer.join()
os._exit(0)
"""


def test_starting_and_stopping_never_meets_another_call(world: World) -> None:
    """Without the guard Go ends this process, mostly within a second: "concurrent map read and map write"."""
    sessions = [str(world.paired().session) for _ in range(3)]
    done = subprocess.run(
        [sys.executable, "-c", STRESS, world.network.root_key, *sessions],
        env={**os.environ, **world.network.environment()},
        capture_output=True,
        text=True,
        timeout=4 * PATIENCE_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]


def test_while_a_number_is_connected_its_thread_sleeps_and_does_not_look_about() -> None:
    script = """
import threading
from chatbot_erp.actors import wa_neonize
from neonize import client
done = client.ThreadEvent()
threading.Timer(0.3, done.set).start()
assert done.wait(0.01), "neonize looks for a Ctrl-C five times a second"
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=PATIENCE_S)
