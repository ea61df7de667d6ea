"""What a socket makes of the things the library does and says, with a library that obeys the test."""

import json
import queue
import sqlite3
import stat
import sys
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

import chatbot_erp.actors.host_preload  # noqa: F401  (neonize's protobufs without its shared library)
from chatbot_erp.actors import frames, wa_socket, wa_watch
from chatbot_erp.actors.frames import Observation, OpenSocket, Transmit
from chatbot_erp.actors.people_frames import Ask, SocketSawPresence
from chatbot_erp.actors.questions import Done, Known, ShowActivity, Watching, WatchPresence
from chatbot_erp.actors.wa_client import Hearing
from chatbot_erp.actors.wa_session import Session, SessionFile
from chatbot_erp.actors.wa_session_file import create_session_file
from chatbot_erp.actors.wa_socket import WhatsAppSocket
from fake_client import FakeClient

neonize: Any = sys.modules["neonize.proto.Neonize_pb2"]
e2e: Any = sys.modules["neonize.proto.waE2E.WAWebProtobufsE2E_pb2"]

PATIENCE_S = 10.0


class Scene:
    """A socket, its client, and what it reported."""

    def __init__(self, directory: Path, *, pairing: bool, dial_error: str | None = None) -> None:
        self.seen: queue.SimpleQueue[Observation] = queue.SimpleQueue()
        self.client: FakeClient
        order = OpenSocket(
            instance="a", generation=1, session=str(directory / "s" / "a.db"), pairing=pairing, ping=False
        )

        def make(session: Session, hearing: Hearing) -> FakeClient:
            self.client = FakeClient(session, hearing)
            self.client.dial_error = dial_error
            return self.client

        self.socket = WhatsAppSocket(order, self.seen.put, make, SessionFile(Path(order.session)))
        self.socket.open()

    def hear(self, event: Any) -> None:
        self.client.hearing.event(event)

    def connect(self) -> None:
        me = neonize.Device(JID=jid("5511", "s.whatsapp.net"), LID=jid("9", "lid"), PushName="Shop")
        self.hear(me)
        self.hear(neonize.Connected())

    def next(self) -> Observation:
        return self.seen.get(timeout=PATIENCE_S)

    def send(self, to: str = "55") -> frames.SocketSent | frames.SocketFailedToSend:
        return self.socket.send(Transmit(instance="a", command_id="c", to=to, text="hi"))


@pytest.fixture
def linked(tmp_path: Path) -> Scene:
    return Scene(tmp_path, pairing=False)


@pytest.fixture
def pairing(tmp_path: Path) -> Scene:
    return Scene(tmp_path, pairing=True)


def jid(user: str, server: str) -> Any:
    return neonize.JID(User=user, Server=server, Device=1, RawAgent=0, Integrator=0, IsEmpty=False)


def failure(code: int) -> Any:
    node = neonize.Node(Tag="failure", Attrs=[neonize.NodeAttrs(name="reason", text=str(code))])
    return neonize.ConnectFailure(Message="because", Raw=node)


def test_a_session_says_who_it_is_when_it_connects(linked: Scene) -> None:
    linked.connect()
    assert linked.next() == frames.SocketConnected(jid="5511@s.whatsapp.net", lid="9@lid", push_name="Shop")


def test_a_new_session_file_is_private_and_in_wal_mode(tmp_path: Path) -> None:
    path = tmp_path / "s" / "a.db"
    create_session_file(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with closing(sqlite3.connect(path)) as session:
        assert session.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    before = path.stat().st_mtime_ns
    create_session_file(path)
    assert path.stat().st_mtime_ns == before


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
    monkeypatch.setattr(wa_socket, "FIRST_QR_S", 0.0)
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


def test_a_number_whose_phone_tells_no_name_is_paired_all_the_same(
    pairing: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wa_socket, "NAME_PATIENCE_S", 0.01)
    pairing.client.name = ""
    pairing.connect()
    assert isinstance(pairing.next(), frames.SocketPaired)


def test_a_number_that_does_not_connect_after_pairing_is_paired_all_the_same(
    pairing: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wa_socket, "PAIRED_PATIENCE_S", 0.01)
    pairing.hear(neonize.Device(JID=jid("5511", "s.whatsapp.net"), LID=jid("9", "lid")))
    pairing.client.hearing.login_word("success")
    assert isinstance(pairing.next(), frames.SocketPaired)


def test_a_session_that_shows_a_code_has_lost_its_link(linked: Scene) -> None:
    linked.client.hearing.qr("one")
    linked.client.hearing.qr("two")
    ended = linked.next()
    assert isinstance(ended, frames.SocketEnded)
    assert ended.cause == "unusable_session"
    assert linked.seen.empty()


@pytest.mark.parametrize(
    ("event", "cause"),
    [
        (neonize.LoggedOut(OnConnect=False, Reason=2), "logged_out"),
        (neonize.LoggedOut(OnConnect=True, Reason=4), "locked"),
        (neonize.LoggedOut(OnConnect=True, Reason=5), "banned"),
        (neonize.StreamReplaced(), "stream_replaced"),
        (neonize.ClientOutdated(), "client_outdated"),
        (failure(400), "unusable_session"),
        (failure(409), "unusable_session"),
        (failure(415), "unusable_session"),
        (failure(418), "unusable_session"),
        (failure(501), "unavailable"),
        (failure(499), "socket_failed"),
    ],
)
def test_an_end_has_its_cause(linked: Scene, event: Any, cause: str) -> None:
    linked.connect()
    linked.next()
    linked.hear(event)
    ended = linked.next()
    assert isinstance(ended, frames.SocketEnded)
    assert ended.cause == cause
    sent = linked.send()
    assert isinstance(sent, frames.SocketFailedToSend)
    assert sent.reason == "not_connected"


def test_a_ban_for_a_time_says_until_when(linked: Scene) -> None:
    linked.hear(neonize.TemporaryBan(Code=1, Expire=3600))
    ended = linked.next()
    assert isinstance(ended, frames.SocketEnded)
    assert ended.retry_at is not None
    assert abs(ended.retry_at - datetime.now(UTC) - timedelta(hours=1)) < timedelta(seconds=10)


def test_a_dial_that_fails_ends_the_socket(tmp_path: Path) -> None:
    scene = Scene(tmp_path, pairing=False, dial_error="failed to dial whatsapp web websocket: connection refused")
    ended = scene.next()
    assert isinstance(ended, frames.SocketEnded)
    assert ended.cause == "refused"


def test_what_the_library_meets_after_the_end_is_not_told(linked: Scene) -> None:
    linked.hear(neonize.TemporaryBan(Code=1, Expire=3600))
    linked.hear(neonize.Disconnected())
    linked.hear(failure(403))
    assert isinstance(linked.next(), frames.SocketEnded)
    assert linked.seen.empty()


def test_a_dropped_connection_is_told_and_nothing_is_sent_meanwhile(linked: Scene) -> None:
    linked.connect()
    linked.next()
    linked.hear(neonize.Disconnected())
    assert linked.next() == frames.SocketDisconnected(reason="dropped")
    assert isinstance(linked.send(), frames.SocketFailedToSend)
    linked.hear(neonize.Connected())
    assert isinstance(linked.next(), frames.SocketConnected)
    assert isinstance(linked.send(), frames.SocketSent)


def test_who_is_watched_is_told_of_until_the_connection_ends(linked: Scene) -> None:
    linked.connect()
    linked.next()
    maria = Known(number="7@lid", jid="55@s.whatsapp.net", lid="7@lid")
    linked.client.answers = [Watching(person=maria), Watching(person=maria)]
    linked.socket.answer(Ask(instance="a", request="r", question=WatchPresence(who="55")))
    assert [type(question) for question in linked.client.questions] == [WatchPresence, WatchPresence]
    linked.hear(neonize.Presence(From=jid("7", "lid"), Unavailable=False, LastSeen=0))
    source = neonize.MessageSource(Chat=jid("7", "lid"), Sender=jid("7", "lid"), IsFromMe=False, IsGroup=False)
    linked.hear(neonize.ChatPresence(MessageSource=source, State="COMPOSING", Media="AUDIO"))
    for state in ("available", "recording"):
        seen = linked.next()
        assert isinstance(seen, SocketSawPresence)
        assert (seen.changed.jid, seen.changed.state) == ("7@lid", state)
    linked.hear(neonize.Disconnected())
    linked.hear(neonize.Presence(From=jid("7", "lid"), Unavailable=True, LastSeen=0))
    assert isinstance(linked.next(), frames.SocketDisconnected)
    assert linked.seen.empty()


def test_it_is_seen_typing_where_the_message_goes_or_not_at_all(linked: Scene) -> None:
    linked.client.answers = [Done()]
    text = Transmit(instance="a", command_id="c", to="55", text="hi", typing_s=1)
    assert linked.socket.show_typing(text)
    assert linked.client.questions == [ShowActivity(chat="55@s.whatsapp.net", activity="typing")]
    assert not linked.socket.show_typing(msgspec.structs.replace(text, to="404"))
    linked.client.send_error = "websocket not connected"
    assert not linked.socket.show_typing(msgspec.structs.replace(text, kind="voice"))
    assert linked.client.questions[-1] == ShowActivity(chat="55@s.whatsapp.net", activity="recording")


def test_a_send_has_one_of_four_failures(linked: Scene) -> None:
    linked.connect()
    linked.next()
    reasons = [linked.send("404")]
    linked.client.send_error = "server returned error 479"
    reasons.append(linked.send())
    linked.client.send_error = "timed out waiting for message send response"
    reasons.append(linked.send())
    linked.client.connected = False
    reasons.append(linked.send())
    assert [failed.reason for failed in reasons if isinstance(failed, frames.SocketFailedToSend)] == [
        "not_on_whatsapp",
        "addressing_rejected",
        "unknown",
        "not_connected",
    ]


def test_a_ping_goes_to_oneself_and_its_failure_is_only_told(linked: Scene) -> None:
    linked.connect()
    assert linked.socket.ping() == frames.SocketPinged(message_id="ID", error="")
    assert linked.client.done == ["send 5511@s.whatsapp.net ping"]
    linked.client.send_error = "no"
    assert linked.socket.ping() == frames.SocketPinged(message_id="", error="no")


def test_a_vote_is_decrypted_where_the_library_has_its_poll(linked: Scene) -> None:
    vote = e2e.Message(pollUpdateMessage={"pollCreationMessageKey": {"ID": "POLL", "fromMe": False}})
    info = neonize.MessageInfo(MessageSource={"Sender": jid("7", "lid"), "Chat": jid("7", "lid")}, ID="V", Timestamp=1)
    linked.connect()
    linked.next()
    linked.hear(neonize.Message(Info=info, Message=vote))
    opened = linked.next()
    linked.client.send_error = "failed to decrypt poll vote"
    linked.hear(neonize.Message(Info=info, Message=vote))
    sealed = linked.next()
    assert isinstance(opened, frames.SocketReceived)
    assert isinstance(sealed, frames.SocketReceived)
    assert json.loads(opened.content)["options"] == ["01" * 32]
    assert json.loads(opened.content)["message"]["sender"] == "5511@s.whatsapp.net"
    assert json.loads(sealed.content)["sealed"] is True
    linked.client.vote_error = TypeError("a mistake of the library")
    linked.hear(neonize.Message(Info=info, Message=vote))
    assert isinstance(linked.next(), frames.SocketReceived)


def test_a_call_is_told(linked: Scene) -> None:
    linked.connect()
    linked.next()
    meta = neonize.BasicCallMeta(timestamp=1, callCreator=jid("7", "lid"), callID="C1")
    linked.hear(neonize.CallOffer(basicCallMeta=meta, data=neonize.Node(Tag="offer")))
    assert isinstance(seen := linked.next(), frames.SocketSawCall)
    assert (seen.call_id, seen.jid) == ("C1", "7@lid")


def test_a_pairing_code_is_offered_or_refused(pairing: Scene) -> None:
    ask = frames.OfferPairingCode(instance="a", command_id="c", number="5511")
    assert pairing.socket.offer_pairing_code(ask) == frames.SocketOfferedCode(command_id="c", code="ABCD-1234")
    ask = frames.OfferPairingCode(instance="a", command_id="c", number="0")
    assert isinstance(pairing.socket.offer_pairing_code(ask), frames.SocketRefusedCode)


def test_closing_takes_what_the_library_still_has_before_it_is_stopped(linked: Scene) -> None:
    linked.connect()
    linked.next()
    info = neonize.MessageInfo(
        ID="LAST",
        Timestamp=1,
        MessageSource=neonize.MessageSource(Chat=jid("1", "lid"), Sender=jid("1", "lid"), IsFromMe=False),
    )
    message = neonize.Message(Info=info)
    message.Message.conversation = "last words"
    linked.client.on_disconnect.append(message)
    linked.socket.close(unlink=False)
    received = linked.next()
    assert isinstance(received, frames.SocketReceived)
    assert linked.client.done == ["disconnect", "stop"]
    assert linked.socket.standing() == frames.SocketStands(connected=False, logged_in=False)


@pytest.mark.parametrize("error", [None, "error sending logout request: info query timed out"])
def test_unlinking_logs_out_if_it_can_and_closes_anyway(linked: Scene, error: str | None) -> None:
    linked.connect()
    linked.client.send_error = error
    linked.socket.close(unlink=True)
    assert linked.client.done == ["log_out", "disconnect", "stop"]


def test_who_closes_a_socket_is_not_told_that_it_ended(linked: Scene) -> None:
    linked.client.on_disconnect += [failure(503), neonize.StreamReplaced()]
    linked.socket.close(unlink=False)
    assert linked.seen.empty()


def test_who_closes_a_socket_is_told_once_that_its_session_is_no_more(linked: Scene) -> None:
    linked.client.on_disconnect += [neonize.LoggedOut(OnConnect=True, Reason=4)] * 2
    linked.socket.close(unlink=False)
    ended = linked.next()
    assert isinstance(ended, frames.SocketEnded)
    assert ended.cause == "locked"
    assert linked.seen.empty()


def test_who_unlinks_a_socket_is_not_told_that_it_is_logged_out(linked: Scene) -> None:
    linked.connect()
    linked.next()
    linked.client.on_disconnect.append(neonize.LoggedOut(OnConnect=False, Reason=2))
    linked.socket.close(unlink=True)
    assert linked.seen.empty()


@pytest.mark.parametrize("pairing", [False, True])
def test_only_a_number_that_is_paired_is_watched_for_its_reconnect(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pairing: bool
) -> None:
    """The library reconnects once after a pairing, and says nothing of it but that it is connected."""
    monkeypatch.setattr(wa_watch, "RECONNECT_PATIENCE_S", 0.01)
    scene = Scene(tmp_path, pairing=pairing)
    scene.client.connected = False
    scene.hear(neonize.Disconnected())
    assert scene.next() == frames.SocketDisconnected(reason="dropped")
    if pairing:
        with pytest.raises(queue.Empty):
            scene.seen.get(timeout=0.2)
    else:
        assert getattr(scene.next(), "cause", "") == "refused"
    scene.socket.close(unlink=False)


def test_an_unanswered_keep_alive_and_an_unknown_complaint_are_looked_into(
    linked: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wa_watch, "LOGIN_PATIENCE_S", 0.01)
    linked.connect()
    linked.next()
    linked.hear(neonize.KeepAliveTimeout())
    assert linked.client.asked.wait(PATIENCE_S)
    linked.client.logged_in = False
    linked.hear(neonize.StreamError(Code="500"))
    assert linked.next() == frames.SocketStands(connected=True, logged_in=False)
    linked.socket.close(unlink=False)


def test_a_message_that_cannot_be_handled_is_told_as_one_that_cannot_be_read(tmp_path: Path) -> None:
    class Broken:
        DESCRIPTOR = neonize.Message.DESCRIPTOR
        Info = neonize.MessageInfo(ID="ABC", MessageSource={"Chat": jid("7", "lid"), "Sender": jid("7", "lid")})

    scene = Scene(tmp_path, pairing=False)
    scene.hear(Broken())
    scene.client.hearing.garbled(Broken.Info)
    for _ in range(2):
        seen = scene.next()
        assert isinstance(seen, frames.SocketCouldNotDecrypt)
        assert (seen.message_id, seen.jid) == ("ABC", "7@lid")
