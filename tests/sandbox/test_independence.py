"""The proof that the sandbox speaks WhatsApp's protocol, and not only what neonize makes of it."""

from __future__ import annotations

from typing import Any


def test_an_independent_client_pairs_and_talks_with_a_phone_and_with_a_neonize_number(
    pyaileys: Any, shop: Any, maria: Any
) -> None:
    linked = pyaileys.phone.scan(pyaileys.wait("qr")["qr"])
    assert linked.jid == f"{pyaileys.phone.number}:1@s.whatsapp.net"
    pyaileys.phone.wait_online()

    sent = maria.send(pyaileys.phone.number, "from a phone")
    assert pyaileys.wait("message", text="from a phone")["id"] == sent
    sent = pyaileys.send(maria, "to a phone")
    assert maria.receive(text="to a phone").id == sent
    pyaileys.wait("receipt", id=sent, type="read")

    sent = shop.send(pyaileys.phone, "from neonize")
    assert pyaileys.wait("message", text="from neonize")["id"] == sent
    sent = pyaileys.send(shop.phone, "to neonize")
    assert shop.wait("message", id=sent)["text"] == "to neonize"
