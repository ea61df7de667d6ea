"""People as a number sees them: who is on WhatsApp, what they show, who is blocked."""

from collections.abc import Callable
from typing import Any

from chatbot_erp.sandbox.client import Network, Phone
from manager_process import ManagerProcess
from receiver import Receiver

NewPhone = Callable[[str], Phone]

JPEG = b"\xff\xd8\xff\xe0" + bytes(64)


def ask(manager: ManagerProcess, method: str, path: str, status: int = 200, **settings: Any) -> Any:
    """The JSON that a call about `empresa_x` answers."""
    answer = manager.call(method, f"/instances/empresa_x/{path}", **settings)
    assert answer.status_code == status, answer.text
    return answer.json() if answer.content else None


def test_numbers_are_looked_up_many_at_once_and_as_they_were_written(
    manager: ManagerProcess, network: Network, new_phone: NewPhone
) -> None:
    maria = new_phone("Maria")
    without_nine = network.phone("559132224444", name="Joana")
    old_mobile = network.phone("559188887777", name="Ana")
    manager.pair("empresa_x", new_phone("Empresa X"))
    numbers = [f"+{maria.number}", "5511000000009", "+55 91 98888-7777", without_nine.number, old_mobile.number]
    for _ in range(2):
        found = ask(manager, "POST", "contacts/check", json={"numbers": numbers})["contacts"]
        assert [each["number"] for each in found] == numbers
        assert [each["exists"] for each in found] == [True, False, True, True, True]
        assert [each["jid"] for each in found] == [maria.jid, None, old_mobile.jid, without_nine.jid, old_mobile.jid]
        assert found[0]["lid"] == f"{maria.lid}@lid"
    refused = ask(manager, "POST", "contacts/check", 422, json={"numbers": ["nobody"]})
    assert refused["type"] == "/problems/bad-number"


def test_what_somebody_shows_and_what_they_hide(manager: ManagerProcess, new_phone: NewPhone) -> None:
    maria = new_phone("Maria")
    maria.set_profile(about="Só mensagens ☕", picture=JPEG)
    shop = new_phone("Empresa X")
    manager.pair("empresa_x", shop)
    person = ask(manager, "GET", f"contacts/{maria.number}")
    assert (person["jid"], person["lid"]) == (maria.jid, f"{maria.lid}@lid")
    assert (person["about"], person["devices"]) == ("Só mensagens ☕", 1)
    assert person["picture"]["url"].startswith("https://pps.whatsapp.net/")
    assert ask(manager, "GET", f"contacts/{maria.number}/picture") == person["picture"]
    assert ask(manager, "GET", f"contacts/{maria.lid}@lid")["jid"] == maria.jid

    maria.set_profile(picture_hidden=True)
    assert ask(manager, "GET", f"contacts/{maria.number}")["picture"] is None
    assert ask(manager, "GET", f"contacts/{maria.number}/picture", 403)["type"] == "/problems/not-permitted"
    assert ask(manager, "GET", f"contacts/{shop.number}/picture", 404)["type"] == "/problems/nothing-there"
    assert ask(manager, "GET", "contacts/5511000000009", 404)["type"] == "/problems/not-on-whatsapp"


def test_the_number_changes_what_it_shows_of_itself(manager: ManagerProcess, new_phone: NewPhone) -> None:
    manager.pair("empresa_x", new_phone("Empresa X"))
    assert ask(manager, "PATCH", "profile", json={"about": "Abertos até 18h 🕕"})["about"] == "Abertos até 18h 🕕"
    assert ask(manager, "GET", "profile")["picture"] is None
    picture = {"data": JPEG, "headers": {"Content-Type": "image/jpeg"}}
    ask(manager, "PUT", "profile/picture", 204, **picture)
    assert ask(manager, "GET", "profile")["picture"] is not None
    png = {"data": b"\x89PNG", "headers": {"Content-Type": "image/jpeg"}}
    assert ask(manager, "PUT", "profile/picture", 422, **png)["type"] == "/problems/bad-picture"
    assert ask(manager, "PATCH", "profile", 422, json={"about": "a\0b"})["type"] == "/problems/bad-text"
    assert ask(manager, "PATCH", "profile", 422, json={})["type"] == "/problems/invalid-request"


def test_who_is_blocked_is_heard_no_more_and_it_is_on_record(
    manager: ManagerProcess, receiver: Receiver, new_phone: NewPhone
) -> None:
    shop, maria = new_phone("Empresa X"), new_phone("Maria")
    manager.pair("empresa_x", shop, receiver.url())
    assert ask(manager, "GET", "blocklist") == {"blocked": []}
    blocked = ask(manager, "PUT", f"blocklist/{maria.number}")
    assert blocked == {"blocked": [{"jid": maria.jid, "lid": f"{maria.lid}@lid"}]}
    maria.send(shop.number, "oi?")
    assert ask(manager, "DELETE", f"blocklist/{maria.number}") == {"blocked": []}
    maria.send(shop.number, "oi!")
    (told,) = receiver.wait_for(lambda payload: payload["event"] == "message.received")
    assert told.payload["message"]["text"] == "oi!"
    # What the phone itself does is on record too.
    shop.block(maria.number)
    manager.wait_event("empresa_x", "blocklist.changed", count=3)
    changes = [event["data"] for event in manager.events("empresa_x", "blocklist.changed")]
    assert [(each["jid"], each["blocked"]) for each in changes] == [
        (maria.jid, True),
        (maria.jid, False),
        (f"{maria.lid}@lid", True),
    ]


def test_only_a_connected_number_can_be_asked(manager: ManagerProcess) -> None:
    manager.create("empresa_x")
    assert ask(manager, "GET", "profile", 409)["type"] == "/problems/instance-not-operational"
    assert manager.call("GET", "/instances/nobody/profile").status_code == 404
