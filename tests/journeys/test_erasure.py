"""Somebody asks to be forgotten: afterwards no byte of the data directory says what they said, or who they are."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from chatbot_erp.sandbox.client import Network, Phone
from manager_process import ManagerProcess
from receiver import Delivery, Receiver
from stores import change, everything

NewPhone = Callable[[str], Phone]

PICTURE = b"\x89PNG a picture of her wish " * 50


def traces_of(person: Phone, name: str) -> list[bytes]:
    """How she is written: Brazilian numbers with and without the ninth digit."""
    old = person.number[:4] + person.number[5:] if len(person.number) == 13 else person.number
    return [form.encode() for form in (person.number, old, str(person.lid), name)]


def found_in(manager: ManagerProcess, traces: list[bytes]) -> set[tuple[str, bytes]]:
    """Each file of the directory that holds one of the traces, write-ahead files and locks too; and each table."""
    places = everything(manager).items()
    return {(str(path), trace) for path, content in places for trace in traces if trace in content}


def expired(manager: ManagerProcess) -> list[Any]:
    found: list[Any] = manager.call("GET", "/events", params={"type": "content.expired"}).json()["events"]
    return found


def acknowledged_by(manager: ManagerProcess) -> list[str]:
    acks = manager.call("GET", "/events", params={"type": "message.acknowledged", "limit": 1000}).json()["events"]
    return [each["data"]["jid"] for each in acks]


def test_a_person_is_forgotten_in_every_file_while_the_manager_runs_and_others_are_not(
    tmp_path: Path, network: Network, new_phone: NewPhone
) -> None:
    shop, maria, jose = new_phone("Empresa X"), new_phone("Maria das Dores"), new_phone("Jose")
    traces = [*traces_of(maria, "Maria das Dores"), b"um desejo secreto", b"uma resposta secreta", PICTURE]
    told: list[Delivery] = []

    def answer(delivery: Delivery) -> int:
        told.append(delivery)
        return 500 if b"desejo secreto: 2" in delivery.body else 200

    with (
        Receiver(answer) as receiver,
        ManagerProcess(tmp_path / "data", network, "--media-keep-days", "30") as manager,
    ):
        manager.pair("empresa_x", shop, receiver.url())
        sending = {"headers": {"Idempotency-Key": "answer-1"}}
        sent = manager.send("empresa_x", maria.number, "uma resposta secreta", **sending)
        assert sent.status_code == 200, sent.text
        maria.send(shop.number, "um desejo secreto: 1")
        maria.send_media(shop.number, "image", PICTURE)
        jose.send(shop.number, "fica aqui")
        manager.wait_event("empresa_x", "message.received", count=3)
        (picture,) = [e for e in manager.events("empresa_x", "message.received") if e["data"]["kind"] == "image"]
        media = manager.call("GET", f"/instances/empresa_x/messages/{picture['data']['messageId']}/media")
        assert media.content == PICTURE
        maria.send(shop.number, "um desejo secreto: 2")
        manager.wait_event("empresa_x", "message.received", count=4)
        receiver.wait_for(lambda payload: "desejo secreto: 2" in json.dumps(payload))
        assert {trace for _, trace in found_in(manager, traces)} >= {
            *traces_of(maria, "Maria das Dores"),
            PICTURE,
        }

        export = manager.call("GET", f"/subjects/{maria.number}/export", params={"limit": 1000}).json()
        assert f"{maria.lid}@lid" in export["addresses"]
        texts = {event["data"].get("text") for event in export["events"]}
        assert {"um desejo secreto: 1", "um desejo secreto: 2", "uma resposta secreta"} <= texts
        assert "fica aqui" not in texts

        erased = manager.call("DELETE", f"/subjects/{maria.number}")
        assert erased.status_code == 200, erased.text
        assert erased.json()["subjects"] >= 1
        assert found_in(manager, traces) == set()
        before = len(told)
        (jose_said,) = [e for e in manager.events("empresa_x", "message.received") if e["data"]["text"]]
        assert jose_said["data"]["text"] == "fica aqui"

        # The delivery that the receiver refused is not made any more, and what follows is.
        manager.call("POST", "/instances/empresa_x/webhook/enable")
        jose.send(shop.number, "e eu?")
        receiver.wait_for(lambda payload: payload.get("message", {}).get("text") == "e eu?")
        assert not [each for each in told[before:] if any(trace in each.body for trace in traces)]
        manager.wait_event("empresa_x", "webhook.abandoned")
        assert manager.call("GET", "/instances/empresa_x/webhook/dead").json()["deadLetters"] == []

        # The same call again is still the same call.
        again = manager.send("empresa_x", maria.number, "uma resposta secreta", **sending)
        assert (again.status_code, again.json()) == (200, sent.json())
        assert maria.number not in manager.log.read_text()
        audit = manager.call("GET", "/audit/verify").json()
        assert (audit["whole"], audit["problem"]) == (True, None)

        # She is a stranger now, who can write and be written to.
        maria.send(shop.number, "bom dia")
        receiver.wait_for(lambda payload: payload.get("message", {}).get("text") == "bom dia")
        assert manager.send("empresa_x", maria.number, "bom dia!").status_code == 200
        maria.receive(text="bom dia!")
        assert manager.terminate() == 0
        assert found_in(manager, [b"um desejo secreto", b"uma resposta secreta", PICTURE]) == set()


def test_a_person_is_forgotten_by_the_command_line_beside_a_running_and_in_a_stopped_manager(
    tmp_path: Path, network: Network, new_phone: NewPhone
) -> None:
    with ManagerProcess(tmp_path / "data", network, "--content-keep-days", "30") as manager:
        forget_by_command(manager, new_phone)


def forget_by_command(manager: ManagerProcess, new_phone: NewPhone) -> None:
    shop, maria, jose = new_phone("Empresa X"), new_phone("Maria das Dores"), new_phone("Jose da Silva")
    manager.pair("empresa_x", shop)
    maria.send(shop.number, "um desejo secreto")
    jose.send(shop.number, "outro desejo secreto")
    manager.wait_event("empresa_x", "message.received", count=2)

    held = manager.run("export", maria.number)
    assert [json.loads(each)["data"]["text"] for each in held.stdout.splitlines()] == ["um desejo secreto"]
    running = manager.run("erase", maria.number, "--yes", "--url", manager.url)
    assert running.returncode == 0, running.stderr
    assert manager.call("GET", f"/subjects/{maria.number}/export").json()["events"] == []

    manager.kill()
    (manager.data_dir / "outbox").mkdir(exist_ok=True)
    (manager.data_dir / "outbox" / "of-a-send-that-was-cut-off").write_bytes(b"um desejo secreto")
    stopped = manager.run("erase", jose.number, "--yes")
    assert stopped.returncode == 0, stopped.stderr
    traces = [*traces_of(maria, "Maria das Dores"), *traces_of(jose, "Jose da Silva"), b"desejo secreto"]
    assert found_in(manager, traces) == set()
    whole = manager.run("verify")
    assert whole.returncode == 0, whole.stdout
    change(manager, "keys", "INSERT INTO periods VALUES ('2026-01-31', ?)", b"\0")
    manager.start()
    manager.wait_connected("empresa_x")
    manager.wait_until("empresa_x", lambda _: expired(manager) != [])
    assert "before" in expired(manager)[0]["data"]
    erased = manager.call("GET", "/events", params={"type": "subject.erased"}).json()["events"]
    assert len(erased) == 2


def test_who_is_forgotten_after_the_session_that_knew_her_lid_is_so_under_her_lid_too(
    tmp_path: Path, network: Network, new_phone: NewPhone
) -> None:
    shop, maria = new_phone("Empresa X"), new_phone("Maria das Dores")
    with ManagerProcess(tmp_path / "data", network) as manager:
        manager.pair("empresa_x", shop)
        assert manager.send("empresa_x", maria.number, "uma oferta").status_code == 200
        maria.receive(text="uma oferta")
        lid = f"{maria.lid}@lid"
        manager.wait_until("empresa_x", lambda _: lid in acknowledged_by(manager))
        instance = manager.view("empresa_x")["id"]
        assert manager.call("DELETE", "/instances/empresa_x").status_code == 204
        manager.wait_erased(instance)
        assert found_in(manager, [str(maria.lid).encode()]), "else this test shows nothing"
        assert manager.call("DELETE", f"/subjects/{maria.number}").status_code == 200
        assert lid not in acknowledged_by(manager)
        assert manager.terminate() == 0  # no socket host removes a file while they are read
        assert found_in(manager, [*traces_of(maria, "Maria das Dores"), b"uma oferta"]) == set()
