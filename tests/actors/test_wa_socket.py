"""What a socket makes of the things the library does and says, with a library that obeys the test."""

import json
import queue
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from chatbot_erp.actors import frames, wa_watch
from chatbot_erp.actors.frames import Transmit
from chatbot_erp.actors.people_frames import Ask, SocketSawPresence
from chatbot_erp.actors.questions import Done, Known, ShowActivity, Watching, WatchPresence
from chatbot_erp.actors.wa_session import create_session_file
from wa_scene import PATIENCE_S, Scene, e2e, jid, neonize


@pytest.fixture
def linked(tmp_path: Path) -> Scene:
    return Scene(tmp_path, pairing=False)


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
    assert [(each.reason, each.jid) for each in reasons if isinstance(each, frames.SocketFailedToSend)] == [
        ("not_on_whatsapp", "404@s.whatsapp.net"),
        ("addressing_rejected", "55@s.whatsapp.net"),
        ("unknown", "55@s.whatsapp.net"),
        ("not_connected", "55@s.whatsapp.net"),
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
