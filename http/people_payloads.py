"""The JSON of people and groups: what callers send and what they get."""

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from chatbot_erp.actors import questions as q
from chatbot_erp.http.payloads import Jid, JidOrNone, LidOrNone, Number, Payload

GroupJid = Annotated[str, Meta(description="The group's address.", examples=["120363000000000000@g.us"])]
Subject = Annotated[str, Meta(description="The group's name.")]
Ephemeral = Literal[0, 86_400, 604_800, 7_776_000]
"""What WhatsApp offers: never, a day, a week, 90 days."""


class ContactCheckRequest(Payload, frozen=True, kw_only=True):
    """Numbers to look for."""

    numbers: Annotated[
        list[Number],
        Meta(description="Who is looked for.", extra_json_schema={"minItems": 1, "maxItems": 100}),
    ]


class CheckedContact(Payload, frozen=True, kw_only=True):
    """A number as it was given, and the account that it reaches."""

    number: Annotated[str, Meta(description="As it was given.")]
    exists: Annotated[bool, Meta(description="Whether it is on WhatsApp.")]
    jid: Annotated[JidOrNone, Meta(description="The account that it reaches; null where there is none.")]
    lid: LidOrNone


class CheckedContacts(Payload, frozen=True, kw_only=True):
    """Who is on WhatsApp."""

    contacts: Annotated[list[CheckedContact], Meta(description="In the order of the request.")]


class Picture(Payload, frozen=True, kw_only=True):
    """A picture that is set."""

    id: Annotated[str, Meta(description="It changes with the picture.")]
    url: Annotated[str, Meta(description="Where WhatsApp serves it, for some days.")]


class Contact(Payload, frozen=True, kw_only=True):
    """What somebody shows."""

    jid: Jid
    lid: LidOrNone
    about: Annotated[str, Meta(description="What they say of themselves; empty where it is hidden.")]
    picture: Annotated[Picture | None, Meta(description="null where none is set, or it is hidden.")]
    push_name: Annotated[str, Meta(description="The name they gave themselves; empty where this number saw none.")]
    business_name: Annotated[str, Meta(description="A business's verified name; empty where this number saw none.")]
    devices: Annotated[int, Meta(description="The phone and what is linked to it.")]


class BlockedContact(Payload, frozen=True, kw_only=True):
    """Somebody who is blocked."""

    jid: JidOrNone
    lid: LidOrNone


class Blocklist(Payload, frozen=True, kw_only=True):
    """Everybody whose messages do not arrive."""

    blocked: Annotated[list[BlockedContact], Meta(description="In no particular order.")]


class ProfileChange(Payload, frozen=True, kw_only=True):
    """What the number shows of itself from now on."""

    about: Annotated[
        str | UnsetType, Meta(description="What it says of itself.", extra_json_schema={"maxLength": 139})
    ] = UNSET


class NewGroup(Payload, frozen=True, kw_only=True):
    """A group to be founded."""

    subject: Annotated[Subject, Meta(examples=["Pedidos"], extra_json_schema={"minLength": 1, "maxLength": 100})]
    participants: Annotated[tuple[Number, ...], Meta(description="Who shall be in it; the number is by itself.")] = ()


class GroupChange(Payload, frozen=True, kw_only=True):
    """What is to be different; what is left out stays."""

    subject: Annotated[
        str | UnsetType, Meta(description="Its name.", extra_json_schema={"minLength": 1, "maxLength": 100})
    ] = UNSET
    description: Annotated[
        str | UnsetType, Meta(description="What it is for; empty takes it off.", extra_json_schema={"maxLength": 2048})
    ] = UNSET
    announce: Annotated[bool | UnsetType, Meta(description="Only admins write.")] = UNSET
    locked: Annotated[bool | UnsetType, Meta(description="Only admins edit.")] = UNSET
    ephemeral: Annotated[
        Ephemeral | UnsetType, Meta(description="Messages vanish after so many seconds; 0: never.")
    ] = UNSET


class GroupMember(Payload, frozen=True, kw_only=True):
    """Somebody in a group."""

    jid: JidOrNone
    lid: LidOrNone
    role: Annotated[q.Rank, Meta(description="`superadmin`: an admin whom no other can remove.")]


class GroupDetails(Payload, frozen=True, kw_only=True):
    """A group as the number may see it."""

    jid: GroupJid
    subject: Subject
    description: Annotated[str, Meta(description="What it is for; empty where nobody has said.")]
    owner: Annotated[str | None, Meta(description="Who founded it, a JID or LID; null where WhatsApp does not say.")]
    announce: Annotated[bool, Meta(description="Only admins write.")]
    locked: Annotated[bool, Meta(description="Only admins edit.")]
    ephemeral: Annotated[int, Meta(description="Messages vanish after so many seconds; 0: never.")]
    participants: Annotated[list[GroupMember], Meta(description="Everybody in it, this number too.")]


class ParticipantsChange(Payload, frozen=True, kw_only=True):
    """What to do to whom."""

    action: Annotated[q.MemberChange, Meta(description="`promote` makes an admin, `demote` a member again.")]
    participants: Annotated[
        list[Number], Meta(description="To whom.", extra_json_schema={"minItems": 1, "maxItems": 256})
    ]


class ParticipantResult(Payload, frozen=True, kw_only=True):
    """What became of one of them."""

    participant: Annotated[str, Meta(description="By the name the request gave.")]
    done: Annotated[bool, Meta(description="Whether WhatsApp did it.")]
    error: Annotated[
        int | None,
        Meta(description="WhatsApp's code: 403 may only be invited, 404 not there or not on WhatsApp, 409 already in."),
    ]


class ParticipantResults(Payload, frozen=True, kw_only=True):
    """What became of a change."""

    results: Annotated[list[ParticipantResult], Meta(description="In the order of the request.")]


class Invitation(Payload, frozen=True, kw_only=True):
    """A way into a group."""

    link: Annotated[
        str,
        Meta(
            description="A credential: whoever has it can enter.",
            examples=["https://chat.whatsapp.com/AbCdEfGhIjKlMnOpQrStUv"],
        ),
    ]


class JoinRequest(Payload, frozen=True, kw_only=True):
    """An invitation."""

    invite: Annotated[
        str,
        Meta(
            description="The link, or the code at its end.",
            examples=["https://chat.whatsapp.com/AbCdEfGhIjKlMnOpQrStUv"],
        ),
    ]


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
