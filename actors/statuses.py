"""Which status an event brings about: for the instance's own state and for those who are told of it."""

from chatbot_erp.eventstore.events import (
    InstanceConnected,
    InstanceDegraded,
    InstanceDisconnected,
    InstanceInvalidated,
    InstanceRecovered,
    InstanceRestarted,
    PairingOffered,
    Status,
    StatusEvent,
)


def status_after(event: StatusEvent) -> tuple[Status, str | None]:
    """The status that an event brings about, and why where there is a why."""
    match event:
        case InstanceRestarted(cause=cause):
            return Status.INITIALIZING, cause
        case PairingOffered():
            return Status.SCAN_QR_CODE, None
        case InstanceConnected() | InstanceRecovered():
            return Status.CONNECTED, None
        case InstanceDegraded():
            return Status.DEGRADED, "partial_ack"
        case InstanceDisconnected(reason=reason):
            return Status.DISCONNECTED, reason
        case InstanceInvalidated(reason=reason):
            return Status.INVALID, reason
        case _:
            raise TypeError(f"No status is known for {type(event).__name__}.")
