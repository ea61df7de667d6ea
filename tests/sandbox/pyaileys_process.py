"""A process with one pyaileys client in it: a client library of other authors, in another language than neonize's.

Nothing of it is replaced but the pinned root key of the Noise certificates. It finds the network through HTTPS_PROXY and
trusts it through SSL_CERT_FILE, and it checks the certificates. Driven over lines of JSON; run by path, never imported.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import sys
import time
from typing import Any

from pyaileys import WhatsAppClient

noise = importlib.import_module("pyaileys.crypto.noise")


def say(what: str, **details: Any) -> None:
    print(json.dumps({"client": "pyaileys", "event": what, "at": time.time(), **details}), flush=True)


async def main(root_key: str, folder: str) -> None:
    vars(noise)["WA_CERT_PUBLIC_KEY"] = bytes.fromhex(root_key)
    client, auth = await WhatsAppClient.from_auth_folder(folder)

    async def on_update(update: Any) -> None:
        if update.qr:
            say("qr", qr=update.qr)
        if update.connection:
            say(update.connection)

    async def on_creds(_: Any) -> None:
        await auth.save_creds()

    async def on_message(message: Any) -> None:
        say("message", id=message["id"], text=message["text"], sender=message["sender_jid"])

    async def on_receipt(node: Any) -> None:
        say("receipt", id=node.attrs["id"], type=node.attrs.get("type", ""))

    async def on_error(error: Any) -> None:
        say("error", error=str(error))

    client.on("connection.update", on_update)
    client.on("creds.update", on_creds)
    client.on("message.decrypted", on_message)
    client.on("message.decrypt_error", on_error)
    client.on("stanza.receipt", on_receipt)
    await client.connect()

    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        request = json.loads(line)
        sent = await client.send_text(request["to"], request["text"], wait_ack=True)
        say("answer", ticket=request["ticket"], value=sent)
    await client.disconnect()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2]))
