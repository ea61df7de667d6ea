"""What is certain about a message that was not acknowledged, and what a lost connection means."""

from datetime import UTC, datetime, timedelta
from typing import get_args

import pytest

from chatbot_erp.actors import supervision
from chatbot_erp.actors.errors import OF_FAILURE
from chatbot_erp.actors.wa_verdicts import (
    FailureReason,
    cause_of_failure,
    cause_of_logout,
    cause_of_raise,
    end_of_ban,
    why_not_resolved,
    why_not_sent,
)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        ("server returned error 479", "addressing_rejected"),
        ("server returned error 421", "addressing_rejected"),
        ("server returned error 463", "reachout_locked"),
        ("server returned error 429", "too_many"),
        ("server returned error 400", "refused"),
        ("server returned error 4630", "refused"),
        ("server returned error", "refused"),
        ("no LID found for 55@s.whatsapp.net from server", "refused"),
        ("failed to get device list: failed to send usync query: info query returned status 429: rate", "too_many"),
        ("can't send message to unknown server xyz", "refused"),
        ("failed to get user info for 55@s.whatsapp.net to fill LID cache: websocket not connected", "not_connected"),
        ("failed to get device list: failed to send usync query: info query timed out", "not_connected"),
        ("failed to send message node: websocket not connected", "not_connected"),
        ("failed to send message node: failed to write msg: use of closed network connection", "unknown"),
        ("timed out waiting for message send response", "unknown"),
        ("websocket disconnected before message send returned response", "unknown"),
        ("websocket disconnected before message send (retry) returned response", "unknown"),
        ("websocket not connected", "unknown"),
        ("context deadline exceeded", "unknown"),
        ("something new", "unknown"),
        ("", "unknown"),
    ],
)
def test_only_what_is_certain_is_called_so(error: str, reason: str) -> None:
    assert why_not_sent(error) == reason


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        ("Function returned nothing.", "not_on_whatsapp"),
        ("failed to send usync query: websocket disconnected before info query returned response", "not_connected"),
        ("failed to send usync query: info query returned status 429: rate-overlimit", "too_many"),
    ],
)
def test_a_question_that_failed_sent_nothing(error: str, reason: str) -> None:
    assert why_not_resolved(error) == reason


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        ("failed to dial whatsapp web websocket: failed to WebSocket dial: … connection refused", "refused"),
        ("failed to dial whatsapp web websocket: … Service Unavailable", "unavailable"),
        ("failed to dial whatsapp web websocket: … status code 101 but got 503", "unavailable"),
        ("noise handshake failed: timed out waiting for handshake response", "socket_failed"),
        ("proto: required field neonize.TemporaryBan.Code not set", "temporarily_banned"),
        ("proto: required field neonize.Receipt.Type not set", "socket_failed"),
        ("failed to upgrade database: file is not a database", "unusable_session"),
    ],
)
def test_a_dial_that_failed_has_a_cause(error: str, cause: str) -> None:
    assert cause_of_raise(error) == cause


def test_a_ban_ends_when_whatsapp_says_and_where_it_says_nothing_nobody_knows() -> None:
    noon = datetime(2026, 11, 17, 12, tzinfo=UTC)
    assert end_of_ban(noon, 60) == noon + timedelta(minutes=1)
    assert [end_of_ban(noon, unsaid) for unsaid in (0, -1, -(2**63))] == [None] * 3
    assert (end_of_ban(noon, 2**63 - 1) or noon) > noon + timedelta(days=3649)


def test_every_reason_is_a_problem_for_callers() -> None:
    assert {*OF_FAILURE, "unknown"} == set(get_args(FailureReason))


def test_every_cause_is_a_row_of_the_supervision_table() -> None:
    causes = {cause_of_failure(code) for code in range(400, 600)} | {cause_of_logout(reason) for reason in range(11)}
    assert causes <= set(supervision.REMEDIES)
