"""The life of a number: given what has happened, when something is asked, then this happens."""

from datetime import UTC, datetime, timedelta
from typing import Any, get_args

import pytest

from chatbot_erp.actors import frames
from chatbot_erp.actors.commands import (
    Command,
    CreateInstance,
    DoubtPending,
    LoseSocket,
    Observed,
    RecordVerdict,
    RemoveInstance,
    RestartInstance,
    SendMessage,
)
from chatbot_erp.actors.contents import Text
from chatbot_erp.actors.effects import EndSocket, follow_up
from chatbot_erp.actors.endpoint import EnableEndpoint
from chatbot_erp.actors.errors import InstanceNotFound, InstanceNotOperational, NameTaken
from chatbot_erp.actors.identities import event_ids
from chatbot_erp.actors.instance import decide
from chatbot_erp.actors.state import Farewell, Instance, Removed, State, decode_state, encode_state, evolve
from chatbot_erp.actors.supervision import REMEDIES, Remedy
from chatbot_erp.eventstore.events import (
    Ack,
    CallReceived,
    Event,
    InstanceConnected,
    InstanceCreated,
    InstanceDegraded,
    InstanceDisconnected,
    InstanceInvalidated,
    InstancePaired,
    InstanceRecovered,
    InstanceRemoved,
    InstanceRestarted,
    MessageAccepted,
    MessageAcknowledged,
    MessageEdited,
    MessageFailed,
    MessageOutcomeUnknown,
    MessageRevoked,
    MessageSent,
    MessageUndecryptable,
    PairingOffered,
    PingFailed,
    PingSent,
    Status,
    WebhookDelivered,
)

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)

CREATED = InstanceCreated(name="shop", webhook_url="http://example.test/", session_from=None)
CREATED_FROM_KEPT = InstanceCreated(name="shop", webhook_url="http://example.test/", session_from="former")
OFFERED = PairingOffered(previous=Status.INITIALIZING, method="qr")
PAIRED = InstancePaired(jid="1@s.whatsapp.net", lid="9@lid")
REOPENED = InstanceRestarted(previous=Status.SCAN_QR_CODE, generation=2, cause="paired")
CONNECTED = InstanceConnected(previous=Status.INITIALIZING, jid="1@s.whatsapp.net", lid="9@lid", push_name="Shop")
DEGRADED = InstanceDegraded(previous=Status.CONNECTED, message_id="m1", ack=Ack.SENT)
DROPPED = InstanceDisconnected(previous=Status.CONNECTED, reason="dropped")
BANNED = InstanceInvalidated(previous=Status.CONNECTED, reason="banned")
BANNED_FOR_AN_HOUR = InstanceDisconnected(
    previous=Status.CONNECTED, reason="temporarily_banned", retry_at=NOW + timedelta(hours=1)
)
REMOVED = InstanceRemoved(reason="deleted", session_kept=False)
ACCEPTED = MessageAccepted(command_id="c1", number="551", kind="text", text="Olá")
LIVE = (CREATED, OFFERED, PAIRED, REOPENED, CONNECTED)

QR = frames.SocketOfferedQr(qr="secret", valid_s=60)
SENT = frames.SocketSent(command_id="c1", message_id="m1", jid="551@s.whatsapp.net", sent_at=NOW, text="Olá")


def given(*events: Event) -> State:
    state: State = None
    for event in events:
        state = evolve(state, event, NOW)
    return state


def seen(observation: frames.Observation, generation: int = 2) -> Observed:
    return Observed(generation=generation, observation=observation, at=NOW)


def receipt(ack: int, *message_ids: str) -> Observed:
    return seen(frames.SocketSawReceipt(message_ids=message_ids, jid="7@lid", participant=None, ack=ack))


def after(*events: Event, do: Command) -> tuple[Event, ...]:
    return decide(given(*events), do)


def types(events: tuple[Event, ...]) -> list[type[Event]]:
    return [type(event) for event in events]


def test_a_number_begins_its_life_when_it_is_created() -> None:
    command = CreateInstance(name="shop", webhook_url="http://example.test/", session_from=None)
    assert after(do=command) == (CREATED,)
    state = given(CREATED)
    assert isinstance(state, Instance)
    assert (state.status, state.generation, state.paired) == (Status.INITIALIZING, 1, False)


def test_a_number_is_not_created_twice() -> None:
    with pytest.raises(NameTaken):
        after(CREATED, do=CreateInstance(name="shop", webhook_url="http://example.test/", session_from=None))


def test_a_kept_session_needs_no_pairing() -> None:
    state = given(InstanceCreated(name="shop", webhook_url="http://example.test/", session_from="old"))
    assert isinstance(state, Instance)
    assert state.paired


def test_the_first_code_makes_it_wait_for_the_phone_and_the_next_ones_change_nothing() -> None:
    assert after(CREATED, do=seen(QR, 1)) == (OFFERED,)
    assert after(CREATED, OFFERED, do=seen(QR, 1)) == ()


def test_a_paired_session_gets_a_new_socket() -> None:
    paired = frames.SocketPaired(jid="1@s.whatsapp.net", lid="9@lid")
    assert after(CREATED, OFFERED, do=seen(paired, 1)) == (PAIRED, REOPENED)


def test_it_is_connected_once() -> None:
    opened = seen(frames.SocketConnected(jid="1@s.whatsapp.net", lid="9@lid", push_name="Shop"))
    assert after(CREATED, OFFERED, PAIRED, REOPENED, do=opened) == (CONNECTED,)
    assert after(*LIVE, do=opened) == ()


def test_a_socket_of_an_older_generation_is_not_believed() -> None:
    assert after(*LIVE, do=seen(frames.SocketDisconnected(reason="eof"), 1)) == ()


def test_what_an_older_socket_received_is_kept_all_the_same() -> None:
    received = frames.SocketReceived(
        message_id="m9",
        jid="7@lid",
        jid_alt=None,
        participant=None,
        push_name="Maria",
        kind="text",
        text="Oi",
        sent_at=NOW,
        raw='{"conversation":"Oi"}',
    )
    assert [event.text for event in after(*LIVE, do=seen(received, 1))] == ["Oi"]  # type: ignore[attr-defined]


FROM: Any = {"jid": "9@g.us", "jid_alt": "8@lid", "participant": "7@lid"}


def test_what_others_change_take_back_garble_and_call_is_on_record() -> None:
    edited = frames.SocketSawEdit(
        **FROM,
        message_id="m1",
        edit_id="m2",
        push_name="M",
        kind="text",
        text="b",
        content="{}",
        edited_at=NOW,
        raw="{}",
    )
    (event,) = after(*LIVE, do=seen(edited))
    assert isinstance(event, MessageEdited)
    assert (event.message_id, event.edit_id, event.text, event.participant) == ("m1", "m2", "b", "7@lid")
    revoked = frames.SocketSawRevocation(**FROM, message_id="m1", push_name="M", revoked_at=NOW)
    assert after(*LIVE, do=seen(revoked)) == (MessageRevoked(**FROM, message_id="m1", push_name="M", revoked_at=NOW),)
    sealed = frames.SocketCouldNotDecrypt(**FROM, message_id="m3", unavailable=True, push_name="M", sent_at=NOW)
    assert after(*LIVE, do=seen(sealed)) == (
        MessageUndecryptable(**FROM, message_id="m3", unavailable=True, push_name="M", sent_at=NOW),
    )
    call = frames.SocketSawCall(call_id="c", jid="7@lid", jid_alt=None, group=None, video=False, called_at=NOW)
    assert after(*LIVE, do=seen(call)) == (
        CallReceived(call_id="c", jid="7@lid", jid_alt=None, group=None, video=False, called_at=NOW),
    )


@pytest.mark.parametrize("before", [(), (OFFERED,), (*LIVE[1:], DROPPED), (*LIVE[1:], BANNED)])
def test_a_message_is_refused_unless_the_number_is_connected(before: tuple[Event, ...]) -> None:
    with pytest.raises(InstanceNotOperational):
        after(CREATED, *before, do=SendMessage(command_id="c1", number="551", content=Text(text="Olá")))


@pytest.mark.parametrize("before", [LIVE, (*LIVE, DEGRADED)])
def test_a_message_is_accepted_while_connected_or_degraded(before: tuple[Event, ...]) -> None:
    assert after(*before, do=SendMessage(command_id="c1", number="551", content=Text(text="Olá"))) == (ACCEPTED,)


def test_the_servers_ack_alone_degrades() -> None:
    sent, degraded = after(*LIVE, ACCEPTED, do=seen(SENT))
    assert isinstance(sent, MessageSent)
    assert degraded == DEGRADED


@pytest.mark.parametrize("ack", [Ack.DELIVERED, Ack.READ, Ack.PLAYED])
def test_a_full_ack_recovers(ack: Ack) -> None:
    *_, recovered = after(*LIVE, DEGRADED, do=receipt(ack, "m1"))
    assert recovered == InstanceRecovered(previous=Status.DEGRADED, message_id="m1", ack=ack)


def test_a_full_ack_of_a_connected_number_changes_no_status() -> None:
    assert types(after(*LIVE, do=receipt(3, "m1", "m2"))) == [MessageAcknowledged, MessageAcknowledged]


def test_an_error_ack_degrades() -> None:
    assert types(after(*LIVE, do=receipt(0, "m1"))) == [MessageAcknowledged, InstanceDegraded]


def test_the_ping_to_oneself_degrades_only_when_it_fails() -> None:
    assert after(*LIVE, do=seen(frames.SocketPinged(message_id="p1", error=""))) == (PingSent(message_id="p1"),)
    failed = after(*LIVE, do=seen(frames.SocketPinged(message_id="", error="timed out")))
    assert types(failed) == [PingFailed, InstanceDegraded]


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("not_on_whatsapp", [MessageFailed]),
        ("not_connected", [MessageFailed]),
        ("refused", [MessageFailed, MessageAcknowledged, InstanceDegraded]),
        ("not_uploaded", [MessageFailed]),
        ("unknown", [MessageOutcomeUnknown]),
    ],
)
def test_a_send_ends_in_one_verdict(reason: str, expected: list[type[Event]]) -> None:
    failed = frames.SocketFailedToSend(command_id="c1", reason=reason, detail="why")  # type: ignore[arg-type]
    events = after(*LIVE, ACCEPTED, do=seen(failed))
    assert types(events) == expected
    state = given(*LIVE, ACCEPTED, *events)
    assert isinstance(state, Instance)
    assert state.pending == ()


def test_what_whatsapp_refuses_has_an_ack_0_in_the_same_place_however_often_it_is_told() -> None:
    jid = "551@s.whatsapp.net"
    refused = seen(frames.SocketFailedToSend(command_id="c1", reason="reachout_locked", detail="463", jid=jid))
    first, again = after(*LIVE, ACCEPTED, do=refused), after(*LIVE, DEGRADED, ACCEPTED, do=refused)
    assert first[1] == MessageAcknowledged(message_id="c1", jid=jid, participant=None, ack=Ack.ERROR)
    assert first[2] == InstanceDegraded(previous=Status.CONNECTED, message_id="c1", ack=Ack.ERROR)
    assert again == first[:2]
    assert event_ids("i", refused, 3)[:2] == event_ids("i", refused, 2)


def test_sends_in_flight_are_unknown_when_their_host_died() -> None:
    events = after(*LIVE, ACCEPTED, do=LoseSocket(generation=2, cause="host_died"))
    assert types(events) == [MessageOutcomeUnknown, InstanceDisconnected]
    assert after(*LIVE, ACCEPTED, do=DoubtPending(cause="manager_restarted")) == (
        MessageOutcomeUnknown(command_id="c1", reason="manager_restarted"),
    )


@pytest.mark.parametrize("lost", [LoseSocket(generation=2, cause="host_hung"), DoubtPending(cause="host_hung")])
def test_what_a_host_does_not_know_either_is_nothing_new_after_its_loss(lost: Command) -> None:
    doubted = (*LIVE, ACCEPTED, *after(*LIVE, ACCEPTED, do=lost))
    spooled = frames.SocketFailedToSend(command_id="c1", reason="unknown", detail="The socket closed.")
    assert after(*doubted, do=seen(spooled)) == ()
    refused = frames.SocketFailedToSend(command_id="c1", reason="refused", detail="why")
    assert after(*doubted, do=seen(refused))[0] == MessageFailed(command_id="c1", reason="refused", detail="why")


@pytest.mark.parametrize("cause", sorted(REMEDIES))
def test_every_cause_of_a_loss_has_one_outcome(cause: str) -> None:
    events = after(*LIVE, do=seen(frames.SocketEnded(cause=cause)))
    match REMEDIES[cause]:
        case Remedy.NONE:
            assert events == (InstanceInvalidated(previous=Status.CONNECTED, reason=cause),)
        case Remedy.REMOVE:
            assert types(events) == [InstanceDisconnected, InstanceRemoved]
        case _:
            assert events == (InstanceDisconnected(previous=Status.CONNECTED, reason=cause),)


def test_the_same_loss_is_not_told_twice() -> None:
    assert after(*LIVE, DROPPED, do=seen(frames.SocketDisconnected(reason="eof"))) == ()
    assert after(*LIVE, BANNED, do=seen(frames.SocketEnded(cause="banned"))) == ()


def test_a_logout_from_the_phone_removes_the_number() -> None:
    state = given(*LIVE, *after(*LIVE, do=seen(frames.SocketEnded(cause="logged_out"))))
    assert isinstance(state, Removed)
    assert state.reason == "logged_out"


@pytest.mark.parametrize(
    ("before", "removed", "farewell"),
    [
        (LIVE, REMOVED, Farewell(generation=3, session_from=None)),
        ((*LIVE, DROPPED), REMOVED, Farewell(generation=3, session_from=None)),
        ((CREATED_FROM_KEPT,), REMOVED, Farewell(generation=2, session_from="former")),
        ((CREATED, OFFERED), REMOVED, None),
        ((*LIVE, BANNED), REMOVED, None),
        ((*LIVE, BANNED_FOR_AN_HOUR), REMOVED, None),
        (LIVE, InstanceRemoved(reason="deleted", session_kept=True), None),
        (LIVE, InstanceRemoved(reason="logged_out", session_kept=False), None),
    ],
)
def test_who_is_removed_may_say_farewell_where_it_has_a_link_and_whatsapp_wants_to_see_it(
    before: tuple[Event, ...], removed: InstanceRemoved, farewell: Farewell | None
) -> None:
    (ending, _) = follow_up(removed, given(*before, removed))
    assert isinstance(ending, EndSocket)
    assert ending.farewell == farewell


@pytest.mark.parametrize(
    ("before", "unlink", "kept"),
    [(LIVE, False, True), (LIVE, True, False), ((CREATED, OFFERED), False, False), ((*LIVE, BANNED), False, False)],
)
def test_a_session_is_kept_on_demand_where_it_holds_a_device_link(
    before: tuple[Event, ...], unlink: bool, kept: bool
) -> None:
    assert after(*before, do=RemoveInstance(unlink=unlink)) == (InstanceRemoved(reason="deleted", session_kept=kept),)


def test_a_banned_number_needs_a_new_pairing_and_an_outdated_client_does_not() -> None:
    banned = given(*LIVE, BANNED)
    outdated = given(*LIVE, InstanceInvalidated(previous=Status.CONNECTED, reason="client_outdated"))
    assert isinstance(banned, Instance)
    assert isinstance(outdated, Instance)
    assert (banned.paired, outdated.paired) == (False, True)


@pytest.mark.parametrize(
    ("before", "connected", "logged_in", "expected"),
    [
        (LIVE, True, True, []),
        (LIVE, True, False, [InstanceDisconnected]),
        (LIVE, False, False, [InstanceDisconnected]),
        ((*LIVE, DROPPED), True, True, [InstanceConnected]),
        ((*LIVE, DROPPED), False, False, []),
        ((CREATED, OFFERED), True, False, []),
        ((CREATED, OFFERED), True, True, [InstanceRestarted]),
    ],
)
def test_what_the_library_says_of_itself_corrects_what_we_believe(
    before: tuple[Event, ...], connected: bool, logged_in: bool, expected: list[type[Event]]
) -> None:
    stands = seen(frames.SocketStands(connected=connected, logged_in=logged_in), 2 if len(before) > 2 else 1)
    assert types(after(*before, do=stands)) == expected


def test_a_restart_makes_the_next_generation_and_counts_unless_it_is_routine() -> None:
    (restarted,) = after(*LIVE, DROPPED, do=RestartInstance(cause="dropped"))
    assert restarted == InstanceRestarted(previous=Status.DISCONNECTED, generation=3, cause="dropped")
    healed, begun = given(*LIVE, restarted), given(*LIVE, after(*LIVE, do=RestartInstance(cause="manager_started"))[0])
    assert isinstance(healed, Instance)
    assert isinstance(begun, Instance)
    assert (healed.restarts, begun.restarts) == (1, 0)


@pytest.mark.parametrize("known", [BANNED, BANNED_FOR_AN_HOUR])
def test_a_restart_that_was_decided_before_it_was_known_that_none_helps_is_not_carried_out(known: Event) -> None:
    for cause in ("host_recycled", "host_died", "zombie", "dropped"):
        assert after(*LIVE, known, do=RestartInstance(cause=cause)) == ()
    assert types(after(*LIVE, known, do=RestartInstance(cause="requested"))) == [InstanceRestarted]
    assert types(after(*LIVE, known, do=RestartInstance(cause="manager_started"))) == [InstanceRestarted]


def test_a_ban_ends_in_a_restart_and_in_no_other_loss_that_a_restart_can_cure() -> None:
    ended = RestartInstance(cause="temporarily_banned")
    assert types(after(*LIVE, BANNED_FOR_AN_HOUR, do=ended)) == [InstanceRestarted]
    for cause in ("host_died", "host_hung", "socket_failed"):
        assert after(*LIVE, BANNED_FOR_AN_HOUR, do=LoseSocket(generation=2, cause=cause)) == ()
    assert after(*LIVE, BANNED_FOR_AN_HOUR, do=seen(frames.SocketDisconnected(reason="eof"))) == ()
    assert types(after(*LIVE, BANNED_FOR_AN_HOUR, do=seen(frames.SocketEnded(cause="banned")))) == [InstanceInvalidated]


def test_a_removed_number_takes_verdicts_and_nothing_else() -> None:
    verdict = WebhookDelivered(sequence=1, attempts=1, http_status=200)
    assert after(*LIVE, REMOVED, do=RecordVerdict(verdict=verdict)) == (verdict,)
    assert after(*LIVE, REMOVED, do=seen(SENT)) == ()
    for command in (RestartInstance(cause="x"), RemoveInstance(unlink=True), EnableEndpoint(endpoint="main")):
        with pytest.raises(InstanceNotFound):
            after(*LIVE, REMOVED, do=command)


def test_removing_leaves_no_caller_waiting() -> None:
    assert types(after(*LIVE, ACCEPTED, do=RemoveInstance(unlink=True))) == [MessageOutcomeUnknown, InstanceRemoved]


def test_since_is_the_moment_of_the_status_not_of_its_reason() -> None:
    later = datetime(2026, 11, 24, tzinfo=UTC)
    state = evolve(given(*LIVE, DROPPED), InstanceDisconnected(previous=Status.DISCONNECTED, reason="refused"), later)
    assert isinstance(state, Instance)
    assert (state.since, state.reason) == (NOW, "refused")


def test_a_snapshot_is_the_state() -> None:
    for state in (given(*LIVE, ACCEPTED), given(*LIVE, REMOVED)):
        assert state is not None
        assert decode_state(encode_state(state)) == state


def test_no_observation_is_both_a_turn_and_a_fact() -> None:
    assert set(get_args(frames.Turn)).isdisjoint(get_args(frames.Fact))
