"""A process with real neonize clients in it, driven over lines of JSON. Run by path, never imported.

Its standard output belongs to the test: what the library prints there is sent to standard error.
"""

import base64
import hashlib
import importlib
import json
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

_out = os.fdopen(os.dup(1), "w", buffering=1)
os.dup2(2, 1)

from chatbot_erp.sandbox.trust import trust_root_key

# By name: the package has no types, and the checker shall not have to be told so here.
_client: Any = importlib.import_module("neonize.client")
_events: Any = importlib.import_module("neonize.events")
_messages: Any = importlib.import_module("neonize.proto.waE2E.WAWebProtobufsE2E_pb2")
_neonize: Any = importlib.import_module("neonize.proto.Neonize_pb2")
_enums: Any = importlib.import_module("neonize.utils.enum")
build_jid: Any = importlib.import_module("neonize.utils.jid").build_jid

_clients: dict[str, Any] = {}
# Messages by their ids: the library wants them back to answer them.
_seen: dict[str, Any] = {}
_lock = threading.Lock()
_PLAIN = {
    "connected": _events.ConnectedEv,
    "disconnected": _events.DisconnectedEv,
    "paired": _events.PairStatusEv,
    "replaced": _events.StreamReplacedEv,
    "outdated": _events.ClientOutdatedEv,
}


def say(client: str, what: str, **details: Any) -> None:
    with _lock:
        _out.write(json.dumps({"client": client, "event": what, "at": time.time(), **details}) + "\n")


def _jid(text: str) -> Any:
    user, _, server = text.partition("@")
    return build_jid(user, server)


def _chosen(client: Any, vote: Any) -> list[bytes]:
    """neonize 0.5.2's own decrypt_poll_vote takes the pointer that Go returns for the bytes behind it, and raises."""
    raw = vote.SerializeToString()
    pointer = client._NewClient__client.DecryptPollVote(client.uuid, raw, len(raw))
    answer = _neonize.ReturnFunctionWithError.FromString(pointer.contents.get_bytes())
    if answer.Error:
        raise RuntimeError(answer.Error)
    return list(answer.PollVoteMessage.selectedOptions)


def start(name: str, path: str) -> None:
    client = _clients[name] = _client.NewClient(path, uuid=name)
    client.qr(lambda _, qr: say(name, "qr", qr=qr.decode()))
    for what, kind in _PLAIN.items():
        client.event(kind)(lambda _, __, what=what: say(name, what))

    def on_message(_: Any, event: Any) -> None:
        source = event.Info.MessageSource
        message = event.Message
        if message.HasField("deviceSentMessage"):
            message = message.deviceSentMessage.message
        raw = base64.b64encode(message.SerializeToString()).decode()
        _seen[event.Info.ID] = event
        say(
            name,
            "content",
            id=event.Info.ID,
            raw=raw,
            edit=event.Info.Edit,
            view_once=event.IsViewOnce,
            media=event.Info.MediaType,
        )
        text = message.conversation or message.extendedTextMessage.text
        if not text:
            return
        say(
            name,
            "message",
            id=event.Info.ID,
            text=text,
            push_name=event.Info.Pushname,
            sender=f"{source.Sender.User}@{source.Sender.Server}",
            sender_alt=f"{source.SenderAlt.User}@{source.SenderAlt.Server}",
            chat=f"{source.Chat.User}@{source.Chat.Server}",
            from_me=source.IsFromMe,
        )

    client.event(_events.MessageEv)(on_message)
    client.event(_events.ReceiptEv)(
        lambda _, event: say(
            name, "receipt", ids=list(event.MessageIDs), type=event.Type, from_me=event.MessageSource.IsFromMe
        )
    )
    client.event(_events.JoinedGroupEv)(
        lambda _, event: say(name, "joined", group=event.GroupInfo.JID.User, subject=event.GroupInfo.GroupName.Name)
    )
    client.event(_events.GroupInfoEv)(
        lambda _, event: say(
            name, "group", group=event.JID.User, joined=len(event.Join), left=len(event.Leave), subject=event.Name.Name
        )
    )
    client.event(_events.LoggedOutEv)(
        lambda _, event: say(name, "logged_out", reason=event.Reason, login=event.OnConnect)
    )
    client.event(_events.TemporaryBanEv)(lambda _, event: say(name, "banned", code=event.Code, expire=event.Expire))
    client.event(_events.ConnectFailureEv)(lambda _, event: say(name, "failure", reason=event.Reason))

    client.event(_events.UndecryptableMessageEv)(
        lambda _, event: say(name, "undecryptable", id=event.Info.ID, unavailable=event.IsUnavailable)
    )
    client.event(_events.ChatPresenceEv)(
        lambda _, event: say(
            name,
            "chat_presence",
            sender=event.MessageSource.Sender.User,
            state=event.ChatPresence.Name(event.State),
            media=event.ChatPresenceMedia.Name(event.Media),
        )
    )
    client.event(_events.PresenceEv)(
        lambda _, event: say(name, "presence", sender=event.From.User, away=event.Unavailable, last_seen=event.LastSeen)
    )
    client.event(_events.CallOfferEv)(
        lambda _, event: say(
            name,
            "call",
            id=event.basicCallMeta.callID,
            sender=getattr(event.basicCallMeta, "from").User,
            creator=event.basicCallMeta.callCreator.User,
            kinds=[child.Tag for child in event.data.Nodes],
        )
    )
    client.event(_events.CallTerminateEv)(
        lambda _, event: say(name, "hung_up", id=event.basicCallMeta.callID, reason=event.reason)
    )

    def connect() -> None:
        try:
            client.connect()
        except Exception as ex:  # noqa: BLE001
            say(name, "refused", error=str(ex))
        say(name, "ended")

    threading.Thread(target=connect, daemon=True).start()


def run(name: str, ask: str, args: dict[str, Any]) -> Any:
    if ask == "start":
        return start(name, args["path"])
    client = _clients[name]
    match ask:
        case "send":
            began = time.perf_counter()
            user, _, server = args["to"].partition("@")
            answer = client.send_message(build_jid(user, server or "s.whatsapp.net"), args["text"])
            return {"id": answer.ID, "took": time.perf_counter() - began}
        case "send_raw":
            message = _messages.Message.FromString(base64.b64decode(args["raw"]))
            return client.send_message(build_jid(args["to"].partition("@")[0]), message).ID
        case "reply":
            return client.reply_message(args["text"], _seen[args["to"]]).ID
        case "react":
            to, sender = _jid(args["to"]), _jid(args["sender"])
            return client.send_message(to, client.build_reaction(to, sender, args["id"], args["emoji"])).ID
        case "edit":
            return client.edit_message(_jid(args["to"]), args["id"], _messages.Message(conversation=args["text"])).ID
        case "revoke":
            return client.revoke_message(_jid(args["to"]), _jid(args["sender"]), args["id"]).ID
        case "poll":
            selectable = _enums.VoteType.SINGLE if args["selectable"] == 1 else _enums.VoteType.MULTIPLE
            poll = client.build_poll_vote_creation(args["question"], args["options"], selectable)
            return client.send_message(_jid(args["to"]), poll).ID
        case "vote":
            info = _seen[args["id"]].Info
            return client.send_message(info.MessageSource.Chat, client.build_poll_vote(info, args["options"])).ID
        case "votes":
            chosen = set(_chosen(client, _seen[args["id"]]))
            return [name for name in args["options"] if hashlib.sha256(name.encode()).digest() in chosen]
        case "mark_read":
            chat, kind = _jid(args["chat"]), _enums.ReceiptType[args["kind"].upper()]
            return client.mark_read(*args["ids"], chat=chat, sender=chat, receipt=kind)
        case "act":
            state = "PAUSED" if args["activity"] == "paused" else "COMPOSING"
            media = "AUDIO" if args["activity"] == "recording" else "TEXT"
            return client.send_chat_presence(
                _jid(args["to"]),
                _enums.ChatPresence[f"CHAT_PRESENCE_{state}"],
                _enums.ChatPresenceMedia[f"CHAT_PRESENCE_MEDIA_{media}"],
            )
        case "show":
            return client.send_presence(_enums.Presence[args["presence"].upper()])
        case "watch":
            return client.subscribe_presence(_jid(args["jid"]))
        case "reject":
            return client.reject_call(_jid(args["caller"]), args["call_id"])
        case "upload":
            kind = getattr(_enums.MediaType, f"Media{args['kind'].capitalize()}")
            answer = client.upload(Path(args["path"]).read_bytes(), kind)
            hashes = {"sha256": answer.FileSHA256, "enc_sha256": answer.FileEncSHA256, "key": answer.MediaKey}
            texts = {name: base64.b64encode(value).decode() for name, value in hashes.items()}
            return {**texts, "kind": args["kind"], "direct_path": answer.DirectPath, "size": answer.FileLength}
        case "download":
            message = _messages.Message.FromString(base64.b64decode(args["raw"]))
            client.download_any(message, args["path"])
            return None
        case "send_many":
            to = build_jid(args["to"])
            began = time.perf_counter()
            for n in range(args["count"]):
                client.send_message(to, _messages.Message(conversation=f"{args['text']} {n}"))
            return time.perf_counter() - began
        case "look_up":
            found = client.is_on_whatsapp(args["number"])[0]
            number = client.get_pn_from_lid(found.JID) if found.JID.Server == "lid" else found.JID
            return {"in": found.IsIn, "jid": f"{found.JID.User}@{found.JID.Server}", "number": number.User}
        case "create_group":
            group = client.create_group(args["subject"], [build_jid(number) for number in args["members"]])
            return f"{group.JID.User}@{group.JID.Server}"
        case "pairing_code":
            return client.PairPhone(args["number"], True)
        case "logout":
            return client.logout()
        case "stop":
            return client.stop()
        case "state":
            return {"connected": bool(client.is_connected), "logged_in": bool(client.is_logged_in)}
    raise ValueError(ask)


def serve(line: str) -> None:
    request = json.loads(line)
    try:
        value = run(request["client"], request["ask"], request)
        say(request["client"], "answer", ticket=request["ticket"], value=value)
    except Exception as ex:  # noqa: BLE001
        say(request["client"], "answer", ticket=request["ticket"], error=f"{type(ex).__name__}: {ex}")


if __name__ == "__main__":
    trust_root_key(sys.argv[1])
    say("", "ready")
    for request_line in sys.stdin:
        threading.Thread(target=serve, args=(request_line,), daemon=True).start()
    os._exit(0)
