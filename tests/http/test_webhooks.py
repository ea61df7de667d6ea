"""The calls about deliveries: settings, secrets, how it stands, and what is to be told again."""

from __future__ import annotations

import base64
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Event
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from tests.http.conftest import MOMENT

from chatbot_erp.actors import webhook_control
from chatbot_erp.eventstore.events import MessageReceived, Status, WebhookAbandoned, WebhookDelivered
from chatbot_erp.eventstore.records import MAIN, Attempt
from chatbot_erp.eventstore.store import EventStore
from receiver import Delivery, Receiver

if TYPE_CHECKING:
    from tests.http.conftest import Caller, FakeManager

URL = "/instances/a/webhook"
OWN = "whsec_" + base64.b64encode(bytes(range(32))).decode()


@pytest.fixture
def store(own_store: EventStore) -> EventStore:
    return own_store


@pytest.fixture(autouse=True)
def instance(manager: FakeManager) -> str:
    return manager.bring("a", Status.CONNECTED)


def received(text: str) -> MessageReceived:
    return MessageReceived(
        message_id=text,
        jid="7@lid",
        jid_alt=None,
        participant=None,
        push_name="Ana",
        kind="text",
        text=text,
        sent_at=MOMENT,
        raw=msgspec.Raw(b"{}"),
    )


@pytest.fixture
def three(manager: FakeManager, instance: str) -> list[int]:
    """Three messages have come and are settled, the second as a dead letter; their positions."""
    for text in ("one", "two", "three"):
        manager.happen(instance, received(text))
    manager.happen(instance, WebhookDelivered(sequence=1, attempts=1, http_status=200))
    manager.happen(instance, WebhookAbandoned(sequence=2, attempts=3, error="http_400"))
    manager.happen(instance, WebhookDelivered(sequence=3, attempts=1, http_status=200))
    return [record.position for record in manager.store.read(stream=instance) if record.sequence is not None]


def waiting(manager: FakeManager, instance: str, endpoint: str = MAIN) -> list[int]:
    return [each.sequence for each in manager.store.deliveries(instance, endpoint, limit=100)]


def problem(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json["type"].removeprefix("/problems/")


def test_an_endpoint_shows_its_settings_and_how_deliveries_stand(
    api: Caller, manager: FakeManager, instance: str
) -> None:
    for text in ("one", "two"):
        manager.happen(instance, received(text))
    manager.happen(instance, WebhookDelivered(sequence=1, attempts=1, http_status=200))
    failure = Attempt(at=MOMENT, duration_ms=7, http_status=503, error="http_503", address="1.2.3.4:80", answer="no")
    manager.store.record_attempt(instance, MAIN, 2, failure, MOMENT + timedelta(days=36500)).result()
    shown = api.get(URL).json
    assert (shown["endpoint"], shown["endpoints"], shown["url"]) == ("main", ["main"], "http://receiver/")
    assert (shown["events"], shown["order"], shown["headers"], shown["paused"]) == ([], "instance", [], False)
    assert (shown["disabled"], shown["rejectAfterS"], shown["retryForS"]) == (None, 600.0, None)
    assert shown["cursor"] == {"sequence": 1, "latest": 2}
    assert (shown["backlog"], shown["deadLetters"], shown["breaker"]) == (1, 0, "open")
    assert shown["failingSince"] == "2026-01-31T12:00:00Z"
    assert shown["attempts"] == [
        {
            "sequence": 2,
            "at": "2026-01-31T12:00:00Z",
            "durationMs": 7,
            "httpStatus": 503,
            "error": "http_503",
            "address": "1.2.3.4:80",
            "answer": "no",
        }
    ]


def test_the_settings_of_the_first_endpoint_change_with_the_instance(api: Caller) -> None:
    change = {"webhookUrl": "http://new/", "webhook": {"events": ["message.received"], "order": "chat"}}
    assert api("PATCH", "/instances/a", json=change).json["webhookUrl"] == "http://new/"
    shown = api.get(URL).json
    assert (shown["url"], shown["events"], shown["order"]) == ("http://new/", ["message.received"], "chat")
    api("PATCH", URL, json={"paused": True})
    shown = api.get(URL).json
    assert (shown["paused"], shown["order"]) == (True, "chat"), "what is left out stays"


def test_the_values_of_headers_are_never_shown_nor_in_the_log(api: Caller, manager: FakeManager, instance: str) -> None:
    answer = api("PATCH", URL, json={"headers": {"Authorization": "Bearer s3cret"}})
    assert answer.json["webhook"]["headers"] == ["Authorization"]
    everything = api.get(URL).content + api.get("/events").content
    assert b"s3cret" not in everything
    assert b"Authorization" in api.get("/events").content
    api("PATCH", URL, json={"headers": {}})
    assert api.get(URL).json["headers"] == []


@pytest.mark.parametrize(
    "change",
    [
        {"headers": {"Host": "x"}},
        {"headers": {"webhook-signature": "x"}},
        {"headers": {"Content-Length": "1"}},
        {"headers": {"bad name": "x"}},
        {"headers": {"X-Ok": "a\r\nb: c"}},
        {"headers": {"x-a": "1", "X-A": "2"}},
        {"headers": {f"x-{n}": "1" for n in range(21)}},
        {"events": ["message.teleported"]},
        {"retryForS": -1},
        {"rejectAfterS": 1e9},
    ],
)
def test_settings_that_cannot_be_are_refused_and_change_nothing(api: Caller, change: Any) -> None:
    before = api.get(URL).json
    assert problem(api("PATCH", URL, json=change)) == (422, "bad-endpoint")
    assert api.get(URL).json == before


def test_a_second_endpoint_has_a_secret_a_filter_and_a_backlog_of_its_own(
    api: Caller, manager: FakeManager, instance: str
) -> None:
    crm = f"{URL}?endpoint=crm"
    assert problem(api("PATCH", crm, json={"paused": True})) == (404, "endpoint-not-found")
    made = api("PATCH", crm, json={"url": "http://crm/", "events": ["message.received"]}).json
    assert made["webhookSecret"].startswith("whsec_")
    assert "webhookSecret" not in api("PATCH", crm, json={"order": "chat"}).json
    assert manager.webhooks.secret(instance, "crm") != manager.webhooks.secret(instance, MAIN)
    manager.connect("a")
    manager.happen(instance, received("one"))
    assert (waiting(manager, instance), waiting(manager, instance, "crm")) == ([1, 2], [2])
    assert api.get(URL).json["endpoints"] == ["main", "crm"]
    assert api("DELETE", crm).status_code == 204
    assert waiting(manager, instance, "crm") == []
    assert manager.webhooks.secret(instance, "crm") is None
    assert problem(api.get(crm)) == (404, "endpoint-not-found")
    assert problem(api("DELETE", URL)) == (422, "bad-endpoint")


@pytest.mark.parametrize("endpoint", ["", "a b", "-x", "x" * 33, "../x", "é"])
def test_an_endpoint_has_a_plain_name(api: Caller, endpoint: str) -> None:
    answer = api("PATCH", URL, params={"endpoint": endpoint}, json={"url": "http://crm/"})
    assert answer.status_code == (422 if endpoint else 200), "none is the first one"


def test_disabling_and_enabling_is_shown_and_in_the_log(api: Caller, manager: FakeManager, instance: str) -> None:
    assert api.post(f"{URL}/disable").json["disabled"] == "requested"
    assert api.post(f"{URL}/enable").json["disabled"] is None
    types = [record.type for record in manager.store.read(stream=instance)]
    assert types[-2:] == ["endpoint.disabled", "endpoint.enabled"]
    assert problem(api.post("/instances/nobody/webhook/enable")) == (404, "instance-not-found")


def test_a_replay_takes_what_is_in_the_range_and_has_it_wait_again(
    api: Caller, manager: FakeManager, instance: str, three: list[int]
) -> None:
    answer = api.post(f"{URL}/replay", {"after": three[0]})
    assert (answer.status_code, answer.json) == (202, {"queued": 2, "next": None})
    assert waiting(manager, instance) == [2, 3]
    assert api.post(f"{URL}/replay", {"until": three[0], "events": ["message.received"]}).json["queued"] == 1
    assert waiting(manager, instance) == [1, 2, 3]
    assert api.get(f"{URL}/dead").json["deadLetters"] == [], "what is told again is no dead letter"


def test_a_replay_by_time_or_type_takes_only_those(api: Caller, three: list[int]) -> None:
    moment, later = MOMENT.isoformat(), (MOMENT + timedelta(seconds=1)).isoformat()
    assert api.post(f"{URL}/replay", {"since": moment, "before": moment}).json["queued"] == 3
    assert problem(api.post(f"{URL}/replay", {"since": later})) == (404, "nothing-to-deliver")
    assert problem(api.post(f"{URL}/replay", {"events": ["message.sent"]})) == (404, "nothing-to-deliver")
    assert problem(api.post(f"{URL}/replay", {"events": ["nonsense"]})) == (422, "bad-endpoint")
    assert problem(api.post(f"{URL}/replay", {"since": "2026-01-01T00:00:00"})) == (422, "invalid-request")


def test_one_event_is_sent_again_by_its_position(
    api: Caller, manager: FakeManager, instance: str, three: list[int]
) -> None:
    assert api.post(f"{URL}/resend/{three[1]}").json == {"queued": 1, "next": None}
    assert waiting(manager, instance) == [2]
    assert problem(api.post(f"{URL}/resend/1")) == (404, "nothing-to-deliver"), "the creation is told nobody"
    assert problem(api.post(f"{URL}/resend/zero")) == (404, "not-found")


def test_dead_letters_are_told_again_by_their_positions_each_once(
    api: Caller, manager: FakeManager, instance: str, three: list[int]
) -> None:
    wanted = {"positions": [three[0], three[1], three[1]]}
    assert api.post(f"{URL}/redrive", wanted).json == {"queued": 1, "next": None}
    assert waiting(manager, instance) == [2]


def test_a_dead_letter_is_told_again_by_its_position_however_many_stand_before_it(
    api: Caller, manager: FakeManager, instance: str, three: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhook_control, "MOST_AGAIN", 1)
    for sequence in (4, 5):
        manager.happen(instance, received(f"message {sequence}"))
        manager.happen(instance, WebhookAbandoned(sequence=sequence, attempts=3, error="http_400"))
    last = api.get(f"{URL}/dead").json["deadLetters"][-1]["position"]
    assert api.post(f"{URL}/redrive", {"positions": [last]}).json == {"queued": 1, "next": None}
    assert waiting(manager, instance) == [5]


def test_dead_letters_are_told_again_page_by_page(
    api: Caller, manager: FakeManager, instance: str, three: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhook_control, "MOST_AGAIN", 1)
    manager.happen(instance, received("four"))
    manager.happen(instance, WebhookAbandoned(sequence=4, attempts=3, error="http_400"))
    assert api.post(f"{URL}/redrive", {}).json == {"queued": 1, "next": three[1]}
    assert api.post(f"{URL}/redrive", {"after": three[1]}).json == {"queued": 1, "next": None}
    assert waiting(manager, instance) == [2, 4]
    assert problem(api.post(f"{URL}/redrive", {"after": three[1]})) == (404, "nothing-to-deliver")


@pytest.mark.parametrize(
    ("call", "body"),
    [
        *(("redrive", {"positions": [1, position]}) for position in (-(2**63) - 1, -1, 0, 2**63, 2**64, 10**30)),
        *(("replay", {bound: position}) for bound in ("after", "until") for position in (-1, 2**63, 2**64, 10**30)),
        ("redrive", {"positions": [1] * 10_001}),
        ("redrive", {"after": -1}),
    ],
    ids=lambda value: str(value)[:40],
)
def test_positions_that_no_event_can_have_are_refused(api: Caller, three: list[int], call: str, body: Any) -> None:
    assert problem(api.post(f"{URL}/{call}", body)) == (422, "invalid-request")


def test_the_ends_of_time_are_times_like_any_other(api: Caller, three: list[int]) -> None:
    always = {"since": "0001-01-01T00:00:00+14:00", "before": "9999-12-31T23:59:59.999999-14:00"}
    assert api.post(f"{URL}/replay", {**always, "until": 2**63 - 1}).json["queued"] == 3
    never = {"since": always["before"], "after": 2**63 - 1}
    assert problem(api.post(f"{URL}/replay", never)) == (404, "nothing-to-deliver")


def test_dead_letters_are_listed_and_told_again_on_demand(
    api: Caller, manager: FakeManager, instance: str, three: list[int]
) -> None:
    (letter,) = api.get(f"{URL}/dead").json["deadLetters"]
    assert (letter["position"], letter["error"], letter["attempts"]) == (three[1], "http_400", 3)
    assert problem(api.post(f"{URL}/redrive", {"positions": [three[0]]})) == (404, "nothing-to-deliver")
    assert api.post(f"{URL}/redrive", {}).json == {"queued": 1, "next": None}
    assert waiting(manager, instance) == [2]
    assert api.get(f"{URL}/dead").json["deadLetters"] == []
    assert problem(api.post(f"{URL}/redrive")) == (404, "nothing-to-deliver")


def test_a_rotation_shows_the_new_secret_once_and_keeps_the_old_one_for_a_while(
    api: Caller, manager: FakeManager, instance: str
) -> None:
    old = manager.webhooks.rotate("a", MAIN, None, 0)[0]
    key = {"Idempotency-Key": "k"}
    answer = api.post(f"{URL}/secret", {"secret": OWN, "overlapS": 60}, headers=key)
    assert answer.json == {"webhookSecret": OWN, "oldUntil": "2026-01-31T12:01:00Z"}
    again = api.post(f"{URL}/secret", {"secret": OWN, "overlapS": 60}, headers=key)
    assert again.json["webhookSecret"] is None
    assert manager.webhooks.secret(instance, MAIN) == OWN
    assert OWN.encode() not in api.get("/events").content + api.get(URL).content
    assert old != OWN
    assert api.get(URL).json["oldSecretUntil"] == "2026-01-31T12:01:00Z"
    assert problem(api.post(f"{URL}/secret", {"secret": "whsec_short"})) == (422, "bad-endpoint")


def test_a_test_event_says_what_came_of_it_and_passes_what_waits(
    api: Caller, manager: FakeManager, instance: str
) -> None:
    manager.happen(instance, received("one"))
    manager.webhooks.rotate("a", MAIN, OWN, 0)
    with Receiver(lambda _: 418) as receiver:
        api("PATCH", URL, json={"url": receiver.url(), "headers": {"X-Token": "t"}})
        answer = api.post(f"{URL}/test").json
        assert (answer["delivered"], answer["attempt"]["httpStatus"], answer["attempt"]["error"]) == (
            False,
            418,
            "http_418",
        )
        receiver.answer = lambda _: 200
        assert api.post(f"{URL}/test").json["delivered"] is True
        first, _ = receiver.deliveries()
        assert (first.event, first.headers["X-Token"]) == ("webhook.test", "t")
    assert api.post(f"{URL}/test").json["attempt"]["error"] == "connection_refused"
    assert waiting(manager, instance) == [1]


def test_of_one_endpoint_one_test_is_under_way_at_a_time(api: Caller, manager: FakeManager) -> None:
    manager.webhooks.rotate("a", MAIN, OWN, 0)
    asked, over = Event(), Event()

    def hang(_: Delivery) -> int:
        asked.set()
        over.wait(60)
        return 200

    with Receiver(hang) as receiver, ThreadPoolExecutor(1) as pool:
        api("PATCH", URL, json={"url": receiver.url()})
        first = pool.submit(api.post, f"{URL}/test")
        assert asked.wait(60)
        second = api.post(f"{URL}/test")
        over.set()
        assert (second.status_code, second.json["type"]) == (503, "/problems/unavailable")
        assert first.result(60).json["delivered"] is True
        assert api.post(f"{URL}/test").json["delivered"] is True


@pytest.mark.parametrize(
    ("url", "change"), [(URL, {"evnts": []}), (URL, {}), ("/instances/a", {"webhook": {"evnts": []}})]
)
def test_a_change_that_names_no_setting_is_refused(api: Caller, instance: str, url: str, change: Any) -> None:
    refused = api("PATCH", url, json=change)
    assert (refused.status_code, refused.json["type"]) == (422, "/problems/invalid-request")
    assert {"events", "retryForS"} <= {each["field"] for each in refused.json["errors"]}


def test_a_receiver_that_asks_for_no_event_of_a_kind_is_not_told(
    api: Caller, manager: FakeManager, instance: str
) -> None:
    api("PATCH", URL, json={"events": ["message.received"]})
    manager.connect("a")
    manager.happen(instance, received("one"))
    assert waiting(manager, instance) == [2]
    assert api.post(f"{URL}/replay", {"events": ["instance.status"]}).json["queued"] == 1, "asking for it is enough"
    assert waiting(manager, instance) == [1, 2]
