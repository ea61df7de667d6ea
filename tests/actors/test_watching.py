"""What is made of what the supervisor sees."""

from datetime import UTC, datetime

import msgspec
import pytest

from chatbot_erp.actors.directory import InstanceView
from chatbot_erp.actors.hosts import Carried
from chatbot_erp.actors.state import Instance
from chatbot_erp.actors.supervision import INCURABLE, TIMED
from chatbot_erp.actors.watching import (
    LOST_PATIENCE_S,
    OPENING_PATIENCE_S,
    Succession,
    comes_back,
    leads_nowhere,
    succession,
    unheard_loss,
)
from chatbot_erp.eventstore.events import Status
from instance_world import connected_state

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def state(status: Status, reason: str | None = None) -> Instance:
    connected = connected_state()
    assert isinstance(connected, Instance)
    return msgspec.structs.replace(connected, status=status, reason=reason)


def view(status: Status, reason: str | None = None) -> InstanceView:
    return InstanceView(
        id="a",
        name="a",
        status=status,
        reason=reason,
        since=NOW,
        endpoints=(),
        account=None,
        qr=None,
        restarts=0,
    )


@pytest.mark.parametrize("has_socket", [True, False])
@pytest.mark.parametrize("status", [Status.INITIALIZING, Status.SCAN_QR_CODE])
def test_who_succeeds_while_a_socket_is_being_made_orders_it_once_more(status: Status, has_socket: bool) -> None:
    assert succession(state(status), has_socket=has_socket) is Succession.ORDER_SOCKET


def test_who_succeeds_over_a_connection_keeps_it() -> None:
    assert succession(state(Status.CONNECTED), has_socket=True) is Succession.KEEP_SOCKET
    assert succession(state(Status.CONNECTED), has_socket=False) is Succession.RESTART


@pytest.mark.parametrize("cause", sorted(INCURABLE | {"qr_expired"}))
def test_who_succeeds_where_nothing_helps_does_nothing(cause: str) -> None:
    assert succession(state(Status.INVALID, cause), has_socket=False) is Succession.REST


@pytest.mark.parametrize("cause", sorted(TIMED))
def test_who_succeeds_in_a_ban_waits_it_out(cause: str) -> None:
    assert succession(state(Status.DISCONNECTED, cause), has_socket=False) is Succession.AWAIT_TIME


def test_a_socket_that_leads_nowhere_is_given_up_and_a_code_when_its_time_is_over() -> None:
    opening, pairing = view(Status.INITIALIZING), view(Status.SCAN_QR_CODE)
    young, old = Carried("a", 1, OPENING_PATIENCE_S), Carried("a", 1, OPENING_PATIENCE_S + 1)
    assert leads_nowhere(young, opening, qr_timeout_s=180) is None
    assert leads_nowhere(old, opening, qr_timeout_s=180) == "socket_failed"
    assert leads_nowhere(old, view(Status.CONNECTED), qr_timeout_s=180) is None
    assert leads_nowhere(Carried("a", 1, 180, pairing=True), pairing, qr_timeout_s=180) is None
    assert leads_nowhere(Carried("a", 1, 181, pairing=True), pairing, qr_timeout_s=180) == "qr_expired"


@pytest.mark.parametrize(
    ("status", "reason", "has_socket", "cause"),
    [
        (Status.DISCONNECTED, "refused", True, "refused"),
        (Status.DISCONNECTED, "temporarily_banned", False, "temporarily_banned"),
        (Status.DISCONNECTED, "qr_expired", False, None),
        (Status.INITIALIZING, None, False, "socket_failed"),
        (Status.INITIALIZING, None, True, None),
        (Status.INVALID, "banned", False, None),
        (Status.CONNECTED, None, True, None),
    ],
)
def test_a_loss_for_which_nobody_planned_is_found_after_a_while(
    status: Status, reason: str | None, has_socket: bool, cause: str | None
) -> None:
    seen = view(status, reason)
    assert unheard_loss(seen, age_s=LOST_PATIENCE_S, has_socket=has_socket) == cause
    assert unheard_loss(seen, age_s=LOST_PATIENCE_S - 1, has_socket=has_socket) is None


def test_for_whom_only_a_person_or_much_time_brings_back_nobody_waits() -> None:
    assert comes_back(view(Status.DISCONNECTED, "refused"), quarantined=False)
    assert not comes_back(view(Status.DISCONNECTED, "refused"), quarantined=True)
    assert not comes_back(view(Status.DISCONNECTED, "temporarily_banned"), quarantined=False)
    assert not comes_back(view(Status.INVALID, "banned"), quarantined=False)
    assert not comes_back(None, quarantined=False)
