"""Where events go: what may be asked of endpoints, and what becomes of them."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from chatbot_erp.actors.endpoint import (
    MOST_ENDPOINTS,
    ConfigureEndpoint,
    DisableEndpoint,
    EnableEndpoint,
    Endpoint,
    EndpointCommand,
    Endpoints,
    NoteRotation,
    RemoveEndpoint,
    decide_endpoint,
    evolve_endpoints,
    find,
    recipients,
)
from chatbot_erp.actors.errors import BadEndpoint, EndpointNotFound
from chatbot_erp.actors.webhook_shapes import KINDS, WEBHOOKS
from chatbot_erp.eventstore.events import (
    DELIVERED,
    Ack,
    EndpointConfigured,
    EndpointDisabled,
    InstanceRecovered,
    MessageAcknowledged,
    Status,
    WebhookUrlChanged,
)

BORN = datetime(2026, 1, 1, tzinfo=UTC)
NOW = datetime(2026, 1, 2, tzinfo=UTC)
MAIN = Endpoint(id="main", url="http://a/", since=BORN)
ACK = MessageAcknowledged(message_id="m", jid="1@lid", participant=None, ack=Ack.READ)
STATUS = InstanceRecovered(previous=Status.DEGRADED, message_id="m", ack=Ack.READ)


def after(endpoints: Endpoints, *commands: EndpointCommand) -> Endpoints:
    for command in commands:
        for event in decide_endpoint(endpoints, command):
            endpoints = evolve_endpoints(endpoints, event, NOW)
    return endpoints


def test_what_is_left_out_of_a_change_stays_and_the_event_has_everything() -> None:
    (event,) = decide_endpoint((MAIN,), ConfigureEndpoint(endpoint="main", order="chat"))
    assert event == EndpointConfigured(
        endpoint="main",
        url="http://a/",
        events=(),
        order="chat",
        headers=(),
        paused=False,
        retry_for_s=None,
        reject_after_s=600.0,
    )
    (changed,) = evolve_endpoints((MAIN,), event, NOW)
    assert (changed.order, changed.url, changed.since) == ("chat", "http://a/", NOW)


def test_a_change_to_what_it_is_changes_nothing_but_new_header_values_are_news() -> None:
    assert decide_endpoint((MAIN,), ConfigureEndpoint(endpoint="main", url="http://a/", paused=False)) == ()
    with_header = msgspec.structs.replace(MAIN, headers=("X",))
    assert len(decide_endpoint((with_header,), ConfigureEndpoint(endpoint="main", headers=("X",)))) == 1


def test_a_new_endpoint_needs_a_url_and_room() -> None:
    with pytest.raises(EndpointNotFound):
        decide_endpoint((MAIN,), ConfigureEndpoint(endpoint="crm", paused=True))
    full = (MAIN, *(Endpoint(id=f"e{n}", url="http://x/", since=BORN) for n in range(MOST_ENDPOINTS - 1)))
    with pytest.raises(BadEndpoint):
        decide_endpoint(full, ConfigureEndpoint(endpoint="crm", url="http://crm/"))
    two = after((MAIN,), ConfigureEndpoint(endpoint="crm", url="http://crm/"))
    assert [each.id for each in two] == ["main", "crm"]
    assert after(two, RemoveEndpoint(endpoint="crm")) == (MAIN,)


def test_the_first_endpoint_cannot_be_removed_and_an_unknown_one_not_be_asked_anything() -> None:
    with pytest.raises(BadEndpoint):
        decide_endpoint((MAIN,), RemoveEndpoint(endpoint="main"))
    for command in (
        RemoveEndpoint(endpoint="x"),
        EnableEndpoint(endpoint="x"),
        DisableEndpoint(endpoint="x", reason="gone"),
        NoteRotation(endpoint="x", old_until=NOW),
    ):
        with pytest.raises(EndpointNotFound):
            decide_endpoint((MAIN,), command)


def test_disabling_is_said_once_and_enabling_gives_it_its_whole_time_again() -> None:
    disabled = after((MAIN,), DisableEndpoint(endpoint="main", reason="failing"))
    assert (disabled[0].disabled, disabled[0].open) == ("failing", False)
    assert decide_endpoint(disabled, DisableEndpoint(endpoint="main", reason="gone")) == ()
    # A verdict on the receiver before the last change says nothing of the present one.
    assert (
        decide_endpoint((MAIN,), DisableEndpoint(endpoint="main", reason="gone", since=BORN - timedelta(days=1))) == ()
    )
    (enabled,) = after(disabled, EnableEndpoint(endpoint="main"))
    assert (enabled.open, enabled.since) == (True, NOW)


@pytest.mark.parametrize(
    ("change", "open_again"),
    [
        (ConfigureEndpoint(endpoint="main", url="http://elsewhere/"), True),
        (ConfigureEndpoint(endpoint="main", order="chat"), False),
    ],
)
def test_another_url_enables_and_no_other_setting_does(change: ConfigureEndpoint, open_again: bool) -> None:
    disabled = evolve_endpoints((MAIN,), EndpointDisabled(endpoint="main", reason="gone"), BORN)
    assert after(disabled, change)[0].open is open_again


def test_a_pause_outlives_disabling_and_a_rotation_is_remembered() -> None:
    until = NOW + timedelta(hours=1)
    (endpoint,) = after(
        (MAIN,),
        ConfigureEndpoint(endpoint="main", paused=True),
        DisableEndpoint(endpoint="main", reason="requested"),
        EnableEndpoint(endpoint="main"),
        NoteRotation(endpoint="main", old_until=until),
    )
    assert (endpoint.paused, endpoint.old_secret_until) == (True, until)


def test_the_change_of_url_that_earlier_managers_wrote_still_folds() -> None:
    (endpoint,) = evolve_endpoints((MAIN,), WebhookUrlChanged(webhook_url="http://b/"), NOW)
    assert endpoint.url == "http://b/"


def test_each_endpoint_is_told_what_it_wants() -> None:
    acks = Endpoint(id="acks", url="http://b/", since=BORN, events=("message.ack",))
    assert recipients((MAIN, acks), ACK) == ("main", "acks")
    assert recipients((MAIN, acks), STATUS) == ("main",)
    assert recipients((acks,), STATUS) == ()
    assert find((MAIN, acks), "acks") is acks


def test_every_event_that_is_told_has_a_kind_and_every_kind_a_shape() -> None:
    assert KINDS.keys() == DELIVERED
    assert set(KINDS.values()) | {"webhook.test"} == WEBHOOKS.keys()
