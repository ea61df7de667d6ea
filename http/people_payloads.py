"""The JSON of people and groups: what callers send and what they get."""

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from chatbot_erp.actors import questions as q
from chatbot_erp.http.payloads import Jid, Number, Payload

GroupJid = Annotated[str, Meta(examples=["120363000000000000@g.us"])]
Ephemeral = Literal[0, 86_400, 604_800, 7_776_000]
"""What WhatsApp offers: never, a day, a week, 90 days."""


class ContactCheckRequest(Payload, frozen=True, kw_only=True):
    """Numbers to look for."""

    numbers: Annotated[list[Number], Meta(extra_json_schema={"minItems": 1, "maxItems": 100})]


class CheckedContact(Payload, frozen=True, kw_only=True):
    """A number as it was given, and the account that it reaches."""

    number: str
    exists: bool
    jid: Jid | None
    lid: str | None


class CheckedContacts(Payload, frozen=True, kw_only=True):
    """In the order of the request."""

    contacts: list[CheckedContact]


class Picture(Payload, frozen=True, kw_only=True):
    """Where WhatsApp serves a picture, for some days; `id` changes with the picture."""

    id: str
    url: str


class Contact(Payload, frozen=True, kw_only=True):
    """What somebody shows. Names are those this number has seen; "" where it has seen none."""

    jid: Jid
    lid: str | None
    about: str
    picture: Annotated[Picture | None, Meta(description="null where none is set, or it is hidden.")]
    push_name: str
    business_name: str
    devices: Annotated[int, Meta(description="The phone and what is linked to it.")]


class BlockedContact(Payload, frozen=True, kw_only=True):
    """Somebody who is blocked; `jid` is null where WhatsApp shows the LID only."""

    jid: Jid | None
    lid: str | None


class Blocklist(Payload, frozen=True, kw_only=True):
    """Everybody whose messages do not arrive."""

    blocked: list[BlockedContact]


class ProfileChange(Payload, frozen=True, kw_only=True):
    """What the number shows of itself from now on."""

    about: Annotated[str | UnsetType, Meta(extra_json_schema={"maxLength": 139})] = UNSET


class NewGroup(Payload, frozen=True, kw_only=True):
    """A group to be founded. The number itself need not be named."""

    subject: Annotated[str, Meta(examples=["Pedidos"], extra_json_schema={"minLength": 1, "maxLength": 100})]
    participants: tuple[Number, ...] = ()


class GroupChange(Payload, frozen=True, kw_only=True):
    """What is to be different; what is left out stays."""

    subject: Annotated[str | UnsetType, Meta(extra_json_schema={"minLength": 1, "maxLength": 100})] = UNSET
    description: Annotated[str | UnsetType, Meta(extra_json_schema={"maxLength": 2048})] = UNSET
    announce: Annotated[bool | UnsetType, Meta(description="Only admins write.")] = UNSET
    locked: Annotated[bool | UnsetType, Meta(description="Only admins edit.")] = UNSET
    ephemeral: Annotated[
        Ephemeral | UnsetType, Meta(description="Messages vanish after so many seconds; 0: never.")
    ] = UNSET


class GroupMember(Payload, frozen=True, kw_only=True):
    """Somebody in a group; `jid` is null where WhatsApp shows the LID only."""

    jid: Jid | None
    lid: str | None
    role: q.Rank


class GroupDetails(Payload, frozen=True, kw_only=True):
    """A group as the number may see it."""

    jid: GroupJid
    subject: str
    description: str
    owner: str | None
    announce: bool
    locked: bool
    ephemeral: int
    participants: list[GroupMember]


class ParticipantsChange(Payload, frozen=True, kw_only=True):
    """What to do to whom."""

    action: q.MemberChange
    participants: Annotated[list[Number], Meta(extra_json_schema={"minItems": 1, "maxItems": 256})]


class ParticipantResult(Payload, frozen=True, kw_only=True):
    """What became of one of them."""

    participant: str
    done: bool
    error: Annotated[
        int | None,
        Meta(description="WhatsApp's code: 403 may only be invited, 404 not there or not on WhatsApp, 409 already in."),
    ]


class ParticipantResults(Payload, frozen=True, kw_only=True):
    """In the order of the request."""

    results: list[ParticipantResult]


class Invitation(Payload, frozen=True, kw_only=True):
    """Whoever has the link can enter the group."""

    link: Annotated[str, Meta(examples=["https://chat.whatsapp.com/AbCdEfGhIjKlMnOpQrStUv"])]


class JoinRequest(Payload, frozen=True, kw_only=True):
    """An invitation: the link, or the code in it."""

    invite: Annotated[str, Meta(examples=["https://chat.whatsapp.com/AbCdEfGhIjKlMnOpQrStUv"])]


class JoinedGroup(Payload, frozen=True, kw_only=True):
    """The group that was entered, or whose admins were asked to let the number in."""

    jid: GroupJid


def checked(people: tuple[q.Known, ...]) -> CheckedContacts:
    return CheckedContacts(
        contacts=[
            CheckedContact(number=each.number, exists=each.jid is not None, jid=each.jid, lid=each.lid)
            for each in people
        ]
    )


def picture(found: q.Picture) -> Picture:
    return Picture(id=found.id, url=found.url)


def contact(person: q.Person) -> Contact:
    return Contact(
        jid=person.jid,
        lid=person.lid,
        about=person.about,
        picture=picture(person.picture) if person.picture is not None else None,
        push_name=person.push_name,
        business_name=person.business_name,
        devices=person.devices,
    )


def blocklist(people: tuple[q.Known, ...]) -> Blocklist:
    return Blocklist(blocked=[BlockedContact(jid=each.jid, lid=each.lid) for each in people])


def group(found: q.Group) -> GroupDetails:
    return GroupDetails(
        jid=found.jid,
        subject=found.subject,
        description=found.description,
        owner=found.owner,
        announce=found.announce,
        locked=found.locked,
        ephemeral=found.ephemeral_s,
        participants=[GroupMember(jid=each.jid, lid=each.lid, role=each.rank) for each in found.members],
    )


def results(of: tuple[q.MemberResult, ...]) -> ParticipantResults:
    return ParticipantResults(
        results=[
            ParticipantResult(participant=each.participant, done=not each.error, error=each.error or None)
            for each in of
        ]
    )


def change_of(group: str, change: GroupChange) -> q.ChangeGroup:
    """The question behind a change."""
    wanted = {name: value for name, value in msgspec.structs.asdict(change).items() if value is not UNSET}
    if "ephemeral" in wanted:
        wanted["ephemeral_s"] = wanted.pop("ephemeral")
    return q.ChangeGroup(group=group, **wanted)
