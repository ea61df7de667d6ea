"""A process with real neonize clients in it, driven over lines of JSON. Run by path, never imported.

Its standard output belongs to the test: what the library prints there is sent to standard error.
"""

import importlib
import json
import os
import sys
import threading
import time
from typing import Any

_out = os.fdopen(os.dup(1), "w", buffering=1)
os.dup2(2, 1)

from chatbot_erp.sandbox.trust import trust_root_key

# By name: the package has no types, and the checker shall not have to be told so here.
_client: Any = importlib.import_module("neonize.client")
_events: Any = importlib.import_module("neonize.events")
_messages: Any = importlib.import_module("neonize.proto.waE2E.WAWebProtobufsE2E_pb2")
build_jid: Any = importlib.import_module("neonize.utils.jid").build_jid

_clients: dict[str, Any] = {}
_lock = threading.Lock()
_PLAIN = {
    "connected": _events.ConnectedEv,
    "disconnected": _events.DisconnectedEv,
    "paired": _events.PairStatusEv,
    "replaced": _events.StreamReplacedEv,
    "outdated": _events.ClientOutdatedEv,
    "undecryptable": _events.UndecryptableMessageEv,
}


def say(client: str, what: str, **details: Any) -> None:
    with _lock:
        _out.write(json.dumps({"client": client, "event": what, "at": time.time(), **details}) + "\n")


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
    client.event(_events.LoggedOutEv)(
        lambda _, event: say(name, "logged_out", reason=event.Reason, login=event.OnConnect)
    )
    client.event(_events.TemporaryBanEv)(lambda _, event: say(name, "banned", code=event.Code, expire=event.Expire))
    client.event(_events.ConnectFailureEv)(lambda _, event: say(name, "failure", reason=event.Reason))

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
            answer = client.send_message(build_jid(args["to"].partition("@")[0]), args["text"])
            return {"id": answer.ID, "took": time.perf_counter() - began}
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
