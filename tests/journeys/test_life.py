"""The life of a number, from its creation to its end, as a caller sees it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from chatbot_erp.sandbox.client import Network, Phone
from chatbot_erp.sandbox.faults import Drop, LoginFailure
from manager_process import ManagerProcess
from receiver import Receiver
from waiting import wait_until

NewPhone = Callable[[str], Phone]


def statuses(receiver: Receiver) -> list[tuple[str, str]]:
    return [
        (delivery.payload["instance"]["previous"], delivery.payload["instance"]["status"])
        for delivery in receiver.deliveries(event="instance.status")
    ]


def test_a_number_is_created_scanned_and_connected(
    manager: ManagerProcess, receiver: Receiver, new_phone: NewPhone
) -> None:
    phone = new_phone("Empresa X")
    created = manager.create("empresa_x", receiver.url())
    assert created["status"] == "INITIALIZING"
    assert created["webhookUrl"] == receiver.url()
    assert created["webhookSecret"].startswith("whsec_")

    waiting = manager.wait_until("empresa_x", lambda view: view["qr"] is not None)
    assert waiting["status"] == "SCAN_QR_CODE"
    assert waiting["qrExpiresAt"] is not None
    assert waiting["user"] is None

    phone.scan(waiting["qr"])
    connected = manager.wait_connected("empresa_x")
    assert connected["id"] == created["id"]
    assert connected["qr"] is None
    assert connected["user"]["jid"].startswith(phone.number)
    assert connected["user"]["lid"] == f"{phone.lid}@lid"
    assert connected["restarts"] == 0

    receiver.wait_for(lambda payload: payload["instance"].get("status") == "CONNECTED")
    assert statuses(receiver)[:3] == [
        ("INITIALIZING", "SCAN_QR_CODE"),
        ("SCAN_QR_CODE", "INITIALIZING"),
        ("INITIALIZING", "CONNECTED"),
    ]
    listed = manager.call("GET", "/instances").json()
    assert listed == [{"id": created["id"], "name": "empresa_x", "status": connected["status"]}]


def test_a_creation_that_is_repeated_with_its_key_is_answered_as_the_first_time(
    manager: ManagerProcess,
) -> None:
    wanted = {"name": "empresa_x", "webhookUrl": "http://127.0.0.1:9/nobody"}
    key = {"Idempotency-Key": "criar-1"}
    first, again = (manager.call("POST", "/instances/create", json=wanted, headers=key) for _ in range(2))
    assert (first.status_code, again.status_code) == (201, 201)
    assert (again.json(), again.headers["Idempotent-Replay"]) == (first.json(), "true")
    (listed,) = manager.call("GET", "/instances").json()
    assert listed["id"] == first.json()["id"]
    (node,) = manager.call("GET", "/nodes").json()
    assert (node["name"], node["instances"], node["alive"]) == (manager.view("empresa_x")["node"], 1, True)


def test_the_ping_to_oneself_proves_that_the_connection_sends(manager: ManagerProcess, new_phone: NewPhone) -> None:
    phone = new_phone("Empresa X")
    manager.pair("empresa_x", phone)
    assert phone.receive(text="ping").text == "ping"
    manager.wait_until("empresa_x", lambda view: bool(manager.events("empresa_x", "ping.sent")))
    assert manager.view("empresa_x")["status"] == "CONNECTED"


def test_without_the_sanity_ping_the_phone_hears_nothing(tmp_path: Path, network: Network, new_phone: NewPhone) -> None:
    phone, customer = new_phone("Empresa X"), new_phone("Maria")
    with ManagerProcess(tmp_path / "data", network, "--no-sanity-ping") as manager:
        manager.pair("empresa_x", phone)
        assert manager.send("empresa_x", customer.number, "Olá").status_code == 200
        customer.receive(text="Olá")
        assert [message.text for message in phone.inbox()] == []


def test_a_pairing_code_replaces_the_camera(manager: ManagerProcess, new_phone: NewPhone) -> None:
    phone = new_phone("Empresa X")
    manager.create("empresa_x")
    manager.wait_until("empresa_x", lambda view: view["status"] == "SCAN_QR_CODE")
    answer = manager.call("POST", "/instances/empresa_x/pairing-code", json={"number": phone.number})
    assert answer.status_code == 200, answer.text
    phone.enter_code(answer.json()["code"])
    assert manager.wait_connected("empresa_x")["user"]["jid"].startswith(phone.number)


def test_the_qr_is_offered_in_every_shape_and_only_while_there_is_one(
    manager: ManagerProcess, new_phone: NewPhone
) -> None:
    manager.create("empresa_x")
    view = manager.wait_until("empresa_x", lambda view: view["qr"] is not None)
    shapes = {"image/png": b"\x89PNG", "image/svg+xml": b"<?xml", "text/plain": "█".encode()}
    for kind, beginning in shapes.items():
        answer = manager.call("GET", "/instances/empresa_x/qr", headers={"Accept": kind})
        assert answer.headers["Content-Type"].startswith(kind)
        assert answer.headers["Cache-Control"] == "no-store"
        assert beginning in answer.content
    new_phone("Empresa X").scan(view["qr"])
    manager.wait_connected("empresa_x")
    assert manager.call("GET", "/instances/empresa_x/qr").status_code == 404


def test_a_restart_on_request_connects_again_without_a_qr(
    manager: ManagerProcess, receiver: Receiver, new_phone: NewPhone
) -> None:
    manager.pair("empresa_x", new_phone("Empresa X"), receiver.url())
    assert manager.call("POST", "/instances/empresa_x/restart").status_code == 202
    manager.wait_until("empresa_x", lambda view: view["restarts"] == 1 and view["status"] == "CONNECTED")
    offers = [event["type"] for event in manager.events("empresa_x") if event["type"] == "instance.pairing_offered"]
    assert len(offers) == 1


def test_a_deleted_number_is_unlinked_erased_and_its_name_is_free(manager: ManagerProcess, new_phone: NewPhone) -> None:
    phone, other = new_phone("Empresa X"), new_phone("Empresa Y")
    first = manager.pair("empresa_x", phone)
    assert manager.call("DELETE", "/instances/empresa_x").status_code == 204
    assert manager.call("GET", "/instances/empresa_x").status_code == 404
    phone.wait_offline()
    second = manager.pair("empresa_x", other)
    assert second["id"] != first["id"]
    assert phone.view().companions == 0
    manager.wait_erased(first["id"])


def test_a_number_that_is_deleted_in_the_middle_of_a_restart_is_unlinked_as_well(
    manager: ManagerProcess, new_phone: NewPhone
) -> None:
    phone = new_phone("Empresa X")
    number = manager.pair("empresa_x", phone)
    assert manager.call("POST", "/instances/empresa_x/restart").status_code == 202
    assert manager.call("DELETE", "/instances/empresa_x").status_code == 204
    manager.wait_erased(number["id"])
    assert phone.view().companions == 0


@pytest.mark.parametrize(
    ("answer", "reason", "stays"),
    [
        (LoginFailure(reason=499), "socket_failed", 0),
        (LoginFailure(reason=402, expire_s=3600), "temporarily_banned", 1),
    ],
    ids=["which gets in again", "which WhatsApp wants to see no attempt of"],
)
def test_a_number_that_is_deleted_while_it_has_no_connection_is_unlinked_by_one_that_is_made_for_that(
    manager: ManagerProcess, new_phone: NewPhone, answer: LoginFailure, reason: str, stays: int
) -> None:
    """Where the machine is so slow that it is connected again before the DELETE comes, its own socket unlinks it: that
    another one is made is certain in tests/actors/test_supervisor_sockets.py only.
    """
    phone = new_phone("Empresa X")
    number = manager.pair("empresa_x", phone)
    phone.fault(answer)
    phone.fault(Drop())
    manager.wait_until("empresa_x", lambda view: view["reason"] == reason)
    phone.heal()
    assert manager.call("DELETE", "/instances/empresa_x").status_code == 204
    manager.wait_erased(number["id"])
    assert phone.view().companions == stays
    if not stays:
        # It is told when the session is gone.
        wait_until(
            lambda: any(
                "device_unlinked" in line and number["id"] in line for line in manager.log.read_text().splitlines()
            )
        )


def test_a_kept_session_is_taken_over_by_the_next_instance_of_that_name(
    manager: ManagerProcess, new_phone: NewPhone
) -> None:
    phone = new_phone("Empresa X")
    manager.pair("empresa_x", phone)
    assert manager.call("DELETE", "/instances/empresa_x", params={"unlink": "false"}).status_code == 204
    phone.wait_offline()
    manager.create("empresa_x")
    again = manager.wait_connected("empresa_x")
    assert again["user"]["jid"].startswith(phone.number)
    assert not manager.events("empresa_x", "instance.pairing_offered")


def test_of_a_number_that_was_never_linked_nothing_is_kept_and_the_next_of_its_name_is_paired(
    manager: ManagerProcess, new_phone: NewPhone
) -> None:
    first = manager.create("empresa_x")
    manager.wait_until("empresa_x", lambda view: view["status"] == "SCAN_QR_CODE")
    assert manager.call("DELETE", "/instances/empresa_x", params={"unlink": "false"}).status_code == 204
    manager.pair("empresa_x", new_phone("Empresa X"))
    manager.wait_erased(first["id"])


def test_a_logout_from_the_phone_is_told_and_removes_the_number(
    manager: ManagerProcess, receiver: Receiver, new_phone: NewPhone
) -> None:
    phone = new_phone("Empresa X")
    created = manager.pair("empresa_x", phone, receiver.url())
    phone.unlink()
    (told,) = receiver.wait_for(lambda payload: payload.get("reason") == "logged_out")
    assert told.payload["instance"]["status"] == "DISCONNECTED"
    assert manager.call("GET", "/instances/empresa_x").status_code == 404
    manager.wait_erased(created["id"])


def test_the_past_can_be_asked_for(manager: ManagerProcess, new_phone: NewPhone) -> None:
    manager.pair("empresa_x", new_phone("Empresa X"))
    events = manager.events("empresa_x")
    offered = next(event for event in events if event["type"] == "instance.pairing_offered")
    for moment in (offered["position"], offered["recordedAt"]):
        past = manager.call("GET", "/instances/empresa_x/state", params={"at": moment}).json()
        assert past["status"] == "SCAN_QR_CODE"
    assert [event["version"] for event in events] == list(range(1, len(events) + 1))


def test_a_second_manager_on_the_same_data_is_refused(manager: ManagerProcess, network: Network) -> None:
    second = ManagerProcess(manager.data_dir, network)
    with pytest.raises(RuntimeError, match="ended with 1"):
        second.start()


def test_sigterm_ends_in_order_and_says_so_with_exit_code_0(manager: ManagerProcess, new_phone: NewPhone) -> None:
    manager.pair("empresa_x", new_phone("Empresa X"))
    assert manager.terminate() == 0
    assert manager.host_pids() == []
