"""What goes between a companion and a phone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

DELIVERED, READ, PLAYED = 1, 4, 6


def test_a_companion_pairs_by_qr_code_and_connects(shop: Any) -> None:
    assert shop.ask("state") == {"connected": True, "logged_in": True}
    assert shop.phone.is_online


def test_a_companion_pairs_by_a_code_typed_into_the_phone(new_companion: Callable[..., Any]) -> None:
    companion = new_companion("Coder")
    companion.start()
    companion.wait("qr")
    code = companion.ask("pairing_code", number=companion.phone.number)
    linked = companion.phone.enter_code(code)
    assert linked.jid == f"{companion.phone.number}:1@s.whatsapp.net"
    companion.wait("connected")


def test_a_wrong_pairing_code_links_nothing(new_companion: Callable[..., Any], sandbox_error: type[Exception]) -> None:
    companion = new_companion("Coder")
    companion.start()
    companion.wait("qr")
    companion.ask("pairing_code", number=companion.phone.number)
    with pytest.raises(sandbox_error, match="not the code"):
        companion.phone.enter_code("ABCD-EFGH")
    assert companion.phone.view().companions == 0


def test_a_qr_code_of_nobody_is_refused(maria: Any, sandbox_error: type[Exception]) -> None:
    with pytest.raises(sandbox_error, match="not a QR code"):
        maria.scan("hello")
    with pytest.raises(sandbox_error, match="has expired"):
        maria.scan("https://wa.me/settings/linked_devices#2@abc,AAAA,AAAA,AAAA,1")


def test_a_message_reaches_the_phone_and_is_delivered_and_read(shop: Any, maria: Any) -> None:
    sent = shop.send(maria, "Olá, Maria")
    message = maria.receive(sender=shop.phone.number)
    assert (message.id, message.text) == (sent, "Olá, Maria")
    shop.wait_receipt(sent, DELIVERED)
    shop.wait_receipt(sent, READ)


def test_a_phone_acknowledges_only_as_far_as_it_is_told(shop: Any, maria: Any) -> None:
    maria.set_policy("none")
    silent = shop.send(maria, "one")
    maria.set_policy("delivered")
    delivered = shop.send(maria, "two")
    shop.wait_receipt(delivered, DELIVERED)
    maria.set_policy("played")
    played = shop.send(maria, "three")
    shop.wait_receipt(played, PLAYED)
    # Receipts keep their order: what has not come by now was never sent.
    assert shop.receipts(silent) == []
    assert shop.receipts(delivered) == [DELIVERED]
    assert shop.receipts(played) == [DELIVERED, READ, PLAYED]


def test_receipts_are_sent_on_demand_twice_and_out_of_order(shop: Any, maria: Any) -> None:
    maria.set_policy("none")
    sent = shop.send(maria, "odd")
    maria.receive(text="odd")
    for level in ("read", "read", "delivered", "played"):
        maria.acknowledge(sent, level)
    shop.wait_receipt(sent, PLAYED)
    assert shop.receipts(sent) == [READ, READ, DELIVERED, PLAYED]


def test_a_message_from_a_phone_reaches_the_companion(shop: Any, maria: Any) -> None:
    sent = maria.send(shop.phone.number, "Oi")
    event = shop.wait("message", id=sent)
    assert event["text"] == "Oi"
    assert event["push_name"] == "Maria"
    assert event["sender"] == f"{maria.lid}@lid"
    assert event["sender_alt"] == maria.jid
    assert maria.wait_receipt(sent).type in ("", "inactive")


def test_a_message_that_is_sent_again_reaches_the_companion_twice_under_one_id(shop: Any, maria: Any) -> None:
    sent = maria.send(shop.phone.number, "Oi")
    shop.wait("message", id=sent)
    before = shop.now()
    maria.send_again(sent)
    assert shop.wait("message", after=before, id=sent)["text"] == "Oi"


def test_only_what_was_sent_to_a_number_can_be_sent_again(maria: Any, sandbox_error: type[Exception]) -> None:
    with pytest.raises(sandbox_error, match="no message"):
        maria.send_again("ABCD")


def test_a_status_reaches_the_companions_of_those_the_phone_has_written_to(
    shop: Any, maria: Any, new_phone: Callable[..., Any]
) -> None:
    new_phone("Joana").send("status@broadcast", "to nobody")
    maria.send(shop.phone.number, "Oi")
    for text in ("on holiday", "back again"):
        sent = maria.send("status@broadcast", text)
        event = shop.wait("message", id=sent)
        assert (event["text"], event["chat"], event["sender"]) == (text, "status@broadcast", f"{maria.lid}@lid")
        maria.wait_receipt(sent)
    assert "to nobody" not in shop.texts()


def test_the_network_knows_what_a_companion_has_acknowledged_and_what_not(shop: Any, maria: Any) -> None:
    first = maria.send(shop.phone.number, "Oi")
    maria.wait_receipt(first)
    shop.ask("stop")
    shop.phone.wait_offline()
    waiting = maria.send(shop.phone.number, "Tudo bem?")
    taken = {each.id: each for each in shop.phone.taken() if each.tag == "message"}
    assert first in taken
    assert waiting not in taken
    shop.start()
    maria.wait_receipt(waiting)
    again = [each for each in shop.phone.taken() if each.tag == "message" and each.id == waiting]
    assert len(again) == 1
    assert again[0].at >= taken[first].at


def test_a_conversation_goes_back_and_forth(shop: Any, maria: Any) -> None:
    for turn in range(5):
        shop.send(maria, f"ping {turn}")
        maria.receive(text=f"ping {turn}")
        shop.wait("message", id=maria.send(shop.phone.number, f"pong {turn}"), text=f"pong {turn}")


def test_an_echo_answers_with_the_same_text(shop: Any, maria: Any) -> None:
    maria.set_echo(True)
    shop.send(maria, "Is there anybody?")
    assert shop.wait("message", text="Is there anybody?")["sender"] == f"{maria.lid}@lid"


def test_a_message_to_oneself_reaches_the_own_phone_and_is_acknowledged(shop: Any) -> None:
    sent = shop.send(shop.phone, "ping")
    assert shop.phone.receive(text="ping").sender == shop.phone.number
    shop.wait_receipt(sent, DELIVERED)
    shop.wait_receipt(sent, READ)


def test_what_the_own_phone_sends_is_seen_by_the_companion_as_its_own(shop: Any, maria: Any) -> None:
    sent = shop.phone.send(maria.number, "from the phone itself")
    event = shop.wait("message", id=sent)
    assert (event["from_me"], event["chat"]) == (True, f"{maria.lid}@lid")


def test_messages_wait_for_a_companion_that_is_away(shop: Any, maria: Any) -> None:
    shop.ask("stop")
    shop.phone.wait_offline()
    sent = [maria.send(shop.phone.number, f"while you were out {n}") for n in range(3)]
    shop.start()
    for n, message_id in enumerate(sent):
        shop.wait("message", id=message_id, text=f"while you were out {n}")


def test_two_companions_write_to_each_other(new_companion: Callable[..., Any]) -> None:
    one, other = new_companion("One"), new_companion("Other")
    one.pair()
    other.pair()
    sent = one.send(other.phone, "hello, neighbour")
    event = other.wait("message", id=sent)
    assert event["sender_alt"] == one.phone.jid
    assert other.phone.receive(text="hello, neighbour").sender == one.phone.number
    one.wait_receipt(sent, READ)
    answer = other.send(one.phone, "hello yourself")
    one.wait("message", id=answer)


def test_a_number_that_was_linked_anew_is_written_to_at_its_new_device(
    new_companion: Callable[..., Any], tmp_path: Path
) -> None:
    one, other = new_companion("One"), new_companion("Other")
    one.pair()
    other.pair()
    other.wait("message", id=one.send(other.phone, "first"))
    other.phone.unlink()
    other.wait("logged_out")
    other.forget()
    other.pair()
    # The server's participant hash tells the client that its list of devices is old; the next message goes right.
    one.send(other.phone, "lost on the way")
    other.wait("message", id=one.send(other.phone, "second"))


@pytest.mark.parametrize(
    ("registered", "asked"), [("551187654321", "5511987654321"), ("5521998765432", "552198765432")]
)
def test_a_brazilian_number_is_found_with_and_without_the_ninth_digit(
    shop: Any, network: Any, registered: str, asked: str
) -> None:
    phone = network.phone(registered, name="Ninth")
    for number in (registered, asked):
        assert shop.ask("look_up", number=f"+{number}") == {
            "in": True,
            "jid": f"{phone.lid}@lid",
            "number": registered,
        }


def test_an_unknown_number_is_not_on_whatsapp(shop: Any) -> None:
    assert shop.ask("look_up", number="+5511333333333")["in"] is False
    with pytest.raises(RuntimeError, match="no LID found"):
        shop.ask("send", to="5511333333333", text="into the void")


def test_twenty_companions_at_once(new_companion: Callable[..., Any], maria: Any, network: Any) -> None:
    companions = [new_companion(f"Twenty {n}") for n in range(20)]
    for companion in companions:
        # One after another: neonize's process ends when two clients start at the same moment.
        companion.start()
        companion.wait("qr")
    for companion in companions:
        companion.phone.scan(companion.wait("qr")["qr"])
    for companion in companions:
        companion.phone.wait_online(timeout_s=60)
    for n, companion in enumerate(companions):
        companion.send(maria, f"I am {n}")
        companion.wait("message", id=maria.send(companion.phone.number, "Welcome"))
    assert sorted(message.text for message in maria.inbox()) == sorted(f"I am {n}" for n in range(20))
    assert network.stats().online >= 20
