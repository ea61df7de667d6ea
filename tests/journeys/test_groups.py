"""Groups: founded, changed, entered, left and written to, with everybody told."""

from collections.abc import Callable
from typing import Any

from chatbot_erp.sandbox.client import Phone
from manager_process import ManagerProcess
from receiver import Receiver

NewPhone = Callable[[str], Phone]

JPEG = b"\xff\xd8\xff\xe0" + bytes(64)


def ask(manager: ManagerProcess, method: str, path: str, status: int = 200, **settings: Any) -> Any:
    """The JSON that a call about the groups of `empresa_x` answers."""
    answer = manager.call(method, f"/instances/empresa_x/groups{path}", **settings)
    assert answer.status_code == status, answer.text
    return answer.json() if answer.content else None


def roles(group: Any) -> dict[str, str]:
    return {each["jid"]: each["role"] for each in group["participants"]}


def test_a_group_is_founded_changed_and_left_and_all_of_it_is_on_record(
    manager: ManagerProcess, receiver: Receiver, new_phone: NewPhone
) -> None:
    shop, maria, joana, shy = (new_phone(name) for name in ("Empresa X", "Maria", "Joana", "Shy"))
    shy.set_profile(joins_when_added=False)
    manager.pair("empresa_x", shop, receiver.url())
    group = ask(manager, "POST", "", 201, json={"subject": "Pedidos 🛒", "participants": [maria.number]})
    path = f"/{group['jid']}"
    assert roles(group) == {shop.jid: "superadmin", maria.jid: "member"}
    (told,) = receiver.wait_for(lambda payload: payload["event"] == "group.joined")
    assert told.payload["group"]["subject"] == "Pedidos 🛒"
    assert set(told.payload["group"]["participants"]) >= {shop.jid}

    people = {"action": "add", "participants": [joana.number, shy.number, maria.number, "5511000000009"]}
    results = ask(manager, "POST", f"{path}/participants", json=people)["results"]
    assert [(each["done"], each["error"]) for each in results] == [
        (True, None),
        (False, 403),
        (False, 409),
        (False, 404),
    ]
    promoted = {"action": "promote", "participants": [joana.jid, f"+{joana.number}"]}
    results = ask(manager, "POST", f"{path}/participants", json=promoted)["results"]
    assert [(each["participant"], each["done"]) for each in results] == [(joana.jid, True), (f"+{joana.number}", True)]
    removed = {"action": "remove", "participants": [maria.number]}
    assert ask(manager, "POST", f"{path}/participants", json=removed)["results"][0]["done"]
    assert roles(ask(manager, "GET", path)) == {shop.jid: "superadmin", joana.jid: "admin"}

    change = {"subject": "Entregas", "description": "Só entregas\nde hoje", "announce": True, "locked": True}
    changed = ask(manager, "PATCH", path, json={**change, "ephemeral": 604800})
    assert {name: changed[name] for name in change} == change
    assert changed["ephemeral"] == 604800
    changed = ask(manager, "PATCH", path, json={"description": "", "announce": False, "ephemeral": 0})
    assert (changed["description"], changed["announce"], changed["ephemeral"]) == ("", False, 0)

    picture = {"data": JPEG, "headers": {"Content-Type": "image/jpeg"}}
    assert ask(manager, "GET", f"{path}/picture", 404)["type"] == "/problems/nothing-there"
    ask(manager, "PUT", f"{path}/picture", 204, **picture)
    assert ask(manager, "GET", f"{path}/picture")["id"] == shop.group(group["jid"]).picture_id

    assert [each["jid"] for each in ask(manager, "GET", "")] == [group["jid"]]
    ask(manager, "POST", f"{path}/leave", 204)
    assert ask(manager, "GET", "") == []
    assert ask(manager, "GET", path, 403)["type"] == "/problems/not-permitted"

    receiver.wait_for(lambda p: p["event"] == "group.updated" and f"{shop.lid}@lid" in p["group"]["left"])
    changes = [each.payload["group"] for each in receiver.deliveries(event="group.updated")]
    assert all(each["by"] == f"{shop.lid}@lid" for each in changes)
    assert [each["joined"] for each in changes if each["joined"]] == [[f"{maria.lid}@lid"], [f"{joana.lid}@lid"]]
    assert {"subject": "Entregas"}.items() <= next(each for each in changes if "subject" in each).items()
    assert [each["announce"] for each in changes if "announce" in each] == [True, False]
    assert [each["ephemeral"] for each in changes if "ephemeral" in each] == [604800, 0]
    recorded = manager.events("empresa_x", "group.joined", "group.updated")
    assert len(recorded) == len(changes) + 1


def test_a_group_is_entered_by_its_invitation_until_that_is_reset(
    manager: ManagerProcess, receiver: Receiver, new_phone: NewPhone
) -> None:
    shop, maria = new_phone("Empresa X"), new_phone("Maria")
    manager.pair("empresa_x", shop, receiver.url())
    theirs = maria.create_group("Vizinhas")
    link = f"https://chat.whatsapp.com/{theirs.invite}"
    assert ask(manager, "POST", "/join", json={"invite": link}) == {"jid": theirs.jid}
    (told,) = receiver.wait_for(lambda payload: payload["event"] == "group.joined")
    assert told.payload["reason"] == "invite"
    assert ask(manager, "GET", f"/{theirs.jid}/invite", 403)["type"] == "/problems/not-permitted"
    maria.change_members(theirs.jid, "promote", shop.number)
    assert ask(manager, "GET", f"/{theirs.jid}/invite") == {"link": link}
    renewed = ask(manager, "POST", f"/{theirs.jid}/invite")["link"]
    assert renewed != link
    for invite in (link, "https://chat.whatsapp.com/x"):
        assert ask(manager, "POST", "/join", 410, json={"invite": invite})["type"] == "/problems/invitation-void"
    receiver.wait_for(lambda payload: payload.get("group", {}).get("inviteReset"))
    log = manager.call("GET", "/instances/empresa_x/events", params={"limit": 500}).text
    assert renewed.rpartition("/")[2] not in log
    assert renewed.rpartition("/")[2] not in manager.log.read_text()


def test_messages_go_to_a_group_and_come_from_it_with_the_one_who_wrote(
    manager: ManagerProcess, receiver: Receiver, new_phone: NewPhone
) -> None:
    shop, maria, joana = new_phone("Empresa X"), new_phone("Maria"), new_phone("Joana")
    manager.pair("empresa_x", shop, receiver.url())
    jid = maria.create_group("Vizinhas", shop.number, joana.number).jid
    receiver.wait_for(lambda payload: payload["event"] == "group.joined")
    sent = manager.send("empresa_x", jid, "Bom dia, vizinhas!")
    assert sent.status_code == 200, sent.text
    assert sent.json()["jid"] == jid
    for phone in (maria, joana):
        seen = phone.receive(text="Bom dia, vizinhas!")
        assert (seen.id, seen.group, seen.sender) == (sent.json()["messageId"], jid, shop.number)
    acks = receiver.wait_for(lambda payload: payload["event"] == "message.ack", count=4)
    assert {(ack.payload["whatsapp"]["participant"], ack.payload["ack"]["status"]) for ack in acks} == {
        (f"{phone.lid}@lid", status) for phone in (maria, joana) for status in (2, 3)
    }
    assert {ack.payload["whatsapp"]["jid"] for ack in acks} == {jid}

    message_id = joana.say_in_group(jid, "Bom dia!")
    (told,) = receiver.wait_for(lambda payload: payload["event"] == "message.received")
    assert told.payload["whatsapp"] == {
        "jid": jid,
        "jidAlt": joana.jid,
        "participant": f"{joana.lid}@lid",
        "messageId": message_id,
        "pushName": "Joana",
    }
    assert told.payload["message"]["text"] == "Bom dia!"
    joana.wait_receipt(message_id)


def test_what_a_group_does_not_allow_is_refused_with_a_reason(manager: ManagerProcess, new_phone: NewPhone) -> None:
    maria = new_phone("Maria")
    shop = new_phone("Empresa X")
    manager.pair("empresa_x", shop)
    theirs = maria.create_group("Avisos", shop.number)
    maria.change_group(theirs.jid, announce=True, locked=True)
    assert manager.send("empresa_x", theirs.jid, "posso?").status_code == 502
    assert ask(manager, "PATCH", f"/{theirs.jid}", 403, json={"subject": "Meu"})["type"] == "/problems/not-permitted"
    assert maria.group(theirs.jid).subject == "Avisos"
    strangers = maria.create_group("Outras")
    assert ask(manager, "GET", f"/{strangers.jid}", 403)["type"] == "/problems/not-permitted"
    assert ask(manager, "GET", "/120363000000000000@g.us", 404)["type"] == "/problems/nothing-there"
    assert ask(manager, "GET", "/pedidos", 422)["type"] == "/problems/bad-group"
    assert ask(manager, "POST", "", 422, json={"subject": ""})["type"] == "/problems/bad-text"
    nobody = {"subject": "Pedidos", "participants": ["5511000000009"]}
    assert ask(manager, "POST", "", 404, json=nobody)["type"] == "/problems/not-on-whatsapp"
    assert [each["subject"] for each in ask(manager, "GET", "")] == ["Avisos"]
