"""Messages through groups, between real clients and phones: what each says, all others can read."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from chatbot_erp.sandbox.client import Phone
from chatbot_erp.sandbox.contents import Content
from chatbot_erp.sandbox.faults import Amnesia

READ = 4


def test_a_client_and_the_phones_of_a_group_read_each_other(shop: Any, new_phone: Callable[..., Phone]) -> None:
    maria, joana = new_phone("Maria"), new_phone("Joana")
    group = shop.ask("create_group", subject="Vizinhas", members=[maria.number, joana.number])
    shop.wait("joined", subject="Vizinhas")
    for number in range(3):
        message_id = shop.ask("send", to=group, text=f"da loja {number}")["id"]
        for phone in (maria, joana):
            assert phone.receive(text=f"da loja {number}").group == group
    shop.wait_receipt(message_id, READ)
    for number in range(3):
        maria.say_in_group(group, f"de Maria {number}")
    seen = shop.wait("message", text="de Maria 2")
    assert (seen["chat"], seen["sender"], seen["sender_alt"]) == (group, f"{maria.lid}@lid", maria.jid)
    assert joana.receive(text="de Maria 2").sender == maria.number
    maria.wait_receipt(maria.say_in_group(group, "adeus"))


def test_messages_of_other_kinds_go_through_groups_too(
    shop: Any, new_phone: Callable[..., Phone], tmp_path: Path
) -> None:
    maria, joana = new_phone("Maria"), new_phone("Joana")
    group = shop.ask("create_group", subject="Vizinhas", members=[maria.number, joana.number])
    event, _ = shop.content(maria.send_media(group, "image", b"a picture", caption="olhem"))
    shop.download(event, tmp_path / "picture")
    assert (tmp_path / "picture").read_bytes() == joana.open(joana.receive(kind="image")) == b"a picture"

    asked = maria.send_poll(group, "Quando?", ["já", "depois"])
    event, _ = shop.content(asked)
    shop.ask("vote", id=event["id"], options=["já"])
    for phone in (maria, joana):
        assert phone.receive(kind="vote").content.votes == ("já",)
    event, vote = shop.content(joana.vote(joana.receive(kind="poll"), "depois"))
    assert (vote.target, shop.ask("votes", id=event["id"], options=["já", "depois"])) == (asked, ["depois"])

    shop.content(joana.react(group, asked, "🎉", author=f"{maria.lid}@lid"))
    assert maria.receive(kind="reaction").content == Content(kind="reaction", text="🎉", target=asked)
    event, _ = shop.content(maria.revoke(group, asked))
    assert event["edit"] == "7"


def test_clients_of_two_numbers_read_each_other_in_a_group(shop: Any, new_companion: Callable[..., Any]) -> None:
    other = new_companion("Other shop")
    other.pair()
    group = shop.ask("create_group", subject="Lojas", members=[other.phone.number])
    other.wait("joined", subject="Lojas")
    shop.ask("send", to=group, text="alô")
    assert other.wait("message", text="alô")["chat"] == group
    other.ask("send", to=group, text="olá")
    assert shop.wait("message", text="olá")["sender"] == f"{other.phone.lid}@lid"


def test_who_comes_later_reads_what_is_said_from_then_on(shop: Any, new_phone: Callable[..., Phone]) -> None:
    maria, joana = new_phone("Maria"), new_phone("Joana")
    group = shop.ask("create_group", subject="Vizinhas", members=[maria.number])
    shop.ask("send", to=group, text="antes")
    maria.receive(text="antes")
    shop.phone.change_members(group, "add", joana.number)
    shop.wait("group", joined=1)
    shop.ask("send", to=group, text="depois")
    joana.receive(text="depois")
    assert [message.text for message in joana.inbox()] == ["depois"]
    maria.leave_group(group)
    shop.wait("group", left=1)
    shop.ask("send", to=group, text="sem Maria")
    joana.receive(text="sem Maria")
    assert "sem Maria" not in [message.text for message in maria.inbox()]


def test_a_phone_that_lost_its_keys_asks_again_and_reads_it(shop: Any, new_phone: Callable[..., Phone]) -> None:
    maria = new_phone("Maria")
    group = shop.ask("create_group", subject="Vizinhas", members=[maria.number])
    shop.ask("send", to=group, text="um")
    maria.receive(text="um")
    shop.phone.fault(Amnesia())
    shop.ask("send", to=group, text="dois")
    assert maria.receive(text="dois").group == group


def test_a_client_that_lost_a_senders_key_asks_again_and_reads_it(
    new_companion: Callable[..., Any], new_phone: Callable[..., Phone]
) -> None:
    maria, shop = new_phone("Maria"), new_companion("Shop")
    shop.pair()
    group = maria.create_group("Vizinhas", shop.phone.number)
    maria.say_in_group(group.jid, "um")
    shop.wait("message", text="um")
    shop.forget()
    shop.pair()
    maria.say_in_group(group.jid, "dois")
    assert shop.wait("message", text="dois")["chat"] == group.jid
