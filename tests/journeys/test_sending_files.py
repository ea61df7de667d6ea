"""Files on their way out: however they come, whatever happens to them, and what they cost."""

import base64
import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Response

from chatbot_erp.client.api import Client
from chatbot_erp.sandbox.client import Network, Phone
from chatbot_erp.sandbox.faults import CutMedia, Drop, RefuseMedia
from samples import picture
from sending_world import Json, NewPhone, World, got, sending_world

IMAGE = picture("JPEG", 640, 480)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, network: Network, make_httpserver: HTTPServer) -> Iterator[World]:
    with sending_world(tmp_path_factory.mktemp("sending") / "data", network, "551190000005", make_httpserver) as world:
        yield world


@pytest.fixture
def customer(new_phone: NewPhone) -> Phone:
    return new_phone("Maria")


def test_a_file_comes_as_a_part_of_a_form_or_from_a_url(world: World, customer: Phone) -> None:
    form = world.upload({"to": customer.number, "type": "document", "text": "a nota"}, b"%PDF-1.7", "nota.pdf")
    assert form.status_code == 200, form.text
    world.pages.expect_request("/foto").respond_with_data(IMAGE, content_type="image/jpeg")
    linked = world.send(customer.number, type="image", url=world.pages.url_for("/foto"))
    world.told("message.ack", linked, ack="delivered")
    document = got(customer, form.json()["messageId"])
    media = document.content.media
    assert media is not None
    assert (media.name, media.mimetype, document.text) == ("nota.pdf", "application/pdf", "a nota")
    assert customer.open(document) == b"%PDF-1.7"
    assert customer.open(got(customer, linked)) == IMAGE
    assert world.outbox() == []


def test_a_url_leads_nowhere_it_may_not(world: World, customer: Phone) -> None:
    world.pages.expect_request("/elsewhere").respond_with_data("", 302, headers={"Location": "http://127.0.0.1:9/"})
    world.pages.expect_request("/gone").respond_with_data("", 404)
    world.pages.expect_request("/vast").respond_with_handler(
        lambda _: Response(iter([b"x" * (1 << 20)] * 66), content_type="application/pdf")
    )

    def refused(url: str) -> tuple[int, str]:
        return world.refused({"to": customer.number, "type": "document", "url": url})

    forbidden = ["file:///etc/passwd", "/etc/passwd", "http://169.254.169.254/latest", "http://u:p@127.0.0.1/"]
    forbidden += [world.pages.url_for(path) for path in ("/elsewhere", "/gone")]
    for url in forbidden:
        assert refused(url) == (422, "bad-media-url"), url
    assert refused(world.pages.url_for("/vast")) == (413, "media-too-large")
    assert world.outbox() == []


def test_the_same_key_sends_a_file_once_whatever_the_boundary_of_its_form(world: World, customer: Phone) -> None:
    message = {"to": customer.number, "type": "document"}
    key = {"Idempotency-Key": f"nota-{customer.number}"}
    first, again = (world.upload(message, b"%PDF-1.7", "nota.pdf", headers=key) for _ in range(2))
    assert (first.status_code, again.json()) == (200, first.json())
    assert again.headers["Idempotent-Replay"] == "true"
    assert world.upload(message, b"%PDF-1.8", "nota.pdf", headers=key).status_code == 422
    world.told("message.ack", first.json()["messageId"], ack="delivered")
    assert len(customer.inbox()) == 1
    assert world.outbox() == []


def test_a_media_server_in_trouble_is_tried_again_and_then_told(
    world: World, customer: Phone, network: Network
) -> None:
    body = {"to": customer.number, "type": "document", "data": "JVBERg=="}
    try:
        for fault in (CutMedia(after=5, times=1), RefuseMedia(status=401, times=1), RefuseMedia(status=503, times=1)):
            world.shop.fault(fault)
            assert world.post(body).status_code == 200
        world.shop.fault(RefuseMedia(status=413, times=1))
        assert world.refused(body) == (502, "whatsapp-refused")
    finally:
        world.shop.heal()
    written = [world.manager.log, *(world.manager.data_dir / "hosts").glob("*.log")]
    said = json.dumps(world.manager.events("empresa_x", "message.failed"))
    assert "auth" not in "".join([said, *(path.read_text() for path in written)])
    assert world.outbox() == []


@pytest.mark.parametrize(("status", "problem"), [(503, "media-not-uploaded"), (429, "asked-too-much")])
def test_a_file_that_did_not_get_through_can_be_sent_again_under_its_key(
    world: World, customer: Phone, status: int, problem: str
) -> None:
    body = {"to": customer.number, "type": "document", "data": "JVBERg=="}
    key = {"Idempotency-Key": f"trouble-{customer.number}"}
    world.shop.fault(RefuseMedia(status=status))
    try:
        answer = world.post(body, headers=key)
    finally:
        world.shop.heal()
    assert (answer.status_code, answer.json()["type"]) == (status, f"/problems/{problem}")
    assert answer.headers["Retry-After"]
    failed = world.manager.events("empresa_x", "message.failed")[-1]
    after = [event["type"] for event in world.manager.events("empresa_x") if event["position"] > failed["position"]]
    assert status == 429 or "instance.degraded" not in after
    again = world.post(body, headers=key)
    assert again.status_code == 200, again.text
    assert "Idempotent-Replay" not in again.headers


def test_a_number_that_has_sent_a_file_comes_back_after_a_loss_and_sends_another(world: World, customer: Phone) -> None:
    def is_up(payload: Json) -> bool:
        return bool(payload["event"] == "instance.status" and payload["instance"]["previous"] == "DISCONNECTED")

    # Asking the library where files go touches its proxy settings.
    world.send(customer.number, type="document", data="JVBERg==")
    before = sum(is_up(each.payload) for each in world.receiver.deliveries())
    world.shop.fault(Drop())
    world.receiver.wait_for(is_up, count=before + 1)
    message_id = world.send(customer.number, type="document", data="JVBERg==")
    world.told("message.ack", message_id, ack="delivered")
    assert customer.open(got(customer, message_id)) == b"%PDF"


def test_a_large_file_passes_through_without_growing_anything(world: World, customer: Phone, tmp_path: Path) -> None:
    source, digest = tmp_path / "source", hashlib.sha256()
    with source.open("wb") as file:
        for _ in range(64):
            piece = os.urandom(1 << 20)
            file.write(piece)
            digest.update(piece)
    # What a first file needs is no growth.
    world.send(customer.number, type="image", data=base64.b64encode(IMAGE).decode())
    before = {pid: peak_bytes(pid) for pid in (world.manager.pid, *world.manager.host_pids())}
    sent = Client(world.manager.url).send("empresa_x", customer.number, "document", file=source)
    growth = {pid: peak_bytes(pid) - least for pid, least in before.items()}
    print({pid: f"{bytes_ >> 20} MiB" for pid, bytes_ in growth.items()})
    assert max(growth.values()) < 100 << 20
    message_id = sent.message_id
    world.told("message.ack", message_id, ack="delivered")
    arrived = tmp_path / "arrived"
    customer.save(got(customer, message_id), arrived)
    assert hashlib.sha256(arrived.read_bytes()).hexdigest() == digest.hexdigest()
    assert world.outbox() == []


def peak_bytes(pid: int) -> int:
    """The most memory a process ever had resident."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) << 10


def test_a_file_nobody_waits_for_is_sent_followed_and_gone(world: World, customer: Phone) -> None:
    headers = {"Prefer": "respond-async", "Idempotency-Key": "async-file"}
    body = {"to": customer.number, "type": "image", "text": "sem pressa", "data": base64.b64encode(IMAGE).decode()}
    accepted = world.post(body, headers=headers)
    assert (accepted.status_code, accepted.headers["Preference-Applied"]) == (202, "respond-async")
    id_ = accepted.json()["id"]
    (told,) = world.receiver.wait_for(lambda payload: payload.get("commandId") == id_)
    message_id = told.payload["whatsapp"]["messageId"]
    assert told.payload["message"]["type"] == "image"
    world.told("message.ack", message_id, ack="read")
    fate = world.manager.call("GET", accepted.headers["Location"]).json()
    assert (fate["messageId"], fate["fate"]) == (message_id, "read")
    assert customer.receive(text="sem pressa").id == message_id
    again = world.post(body, headers=headers)
    assert (again.status_code, again.json(), again.headers["Location"]) == (
        202,
        accepted.json(),
        accepted.json()["location"],
    )
    refused = world.post(
        {**body, "data": base64.b64encode(b"no picture").decode()}, headers={"Prefer": "respond-async"}
    )
    assert refused.status_code == 422
    assert world.outbox() == []
