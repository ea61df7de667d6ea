"""The words on the control connection about presence, typing and calls."""

from __future__ import annotations

from typing import Literal

from chatbot_erp.sandbox.control_frames import Frame, Request

Activity = Literal["composing", "recording", "paused"]
SignKind = Literal["available", "unavailable", "composing", "recording", "paused", "rejected"]


class Sign(Frame, frozen=True):
    """Something a phone sees of another number that is no message: it is there, types, or does not take a call."""

    sender: str
    kind: SignKind
    call_id: str = ""


class Show(Request, frozen=True):
    number: str
    there: bool


class Watch(Request, frozen=True):
    number: str
    other: str


class Act(Request, frozen=True):
    number: str
    to: str
    activity: Activity


class Call(Request, frozen=True):
    number: str
    to: str
    video: bool


class HangUp(Request, frozen=True):
    number: str
    to: str
    call_id: str
    reason: str


class AwaitSign(Request, frozen=True):
    number: str
    sender: str
    kind: SignKind
    timeout_s: float


PresenceRequest = Show | Watch | Act | Call | HangUp | AwaitSign
