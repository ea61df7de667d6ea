"""What a number shows of itself: its picture and its "about" text.

Source: whatsmeow's user.go (GetProfilePictureInfo, SetStatusMessage) and group.go (SetGroupPhoto), read from the other
side. A picture is set as JPEG and had as an address; the address leads nowhere, because nothing here fetches it.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from chatbot_erp.sandbox.jid import GROUP, Jid, as_jid
from chatbot_erp.sandbox.nodes import Node
from chatbot_erp.sandbox.refusals import NOT_ACCEPTABLE, NOT_FOUND, UNAUTHORIZED, QueryRefused

if TYPE_CHECKING:
    from chatbot_erp.sandbox.groups import Group
    from chatbot_erp.sandbox.network import NetworkState
    from chatbot_erp.sandbox.stream import Stream

USUAL_ABOUT = "Hey there! I am using WhatsApp."
_JPEG = b"\xff\xd8\xff"


class Picture(NamedTuple):
    """A picture of a number or a group; ids grow with time, as WhatsApp's do."""

    id: str
    data: bytes

    @property
    def path(self) -> str:
        return f"/v/t61.24694-24/{self.id}_n.jpg"


def new_picture(data: bytes) -> Picture:
    """Raises `QueryRefused` for what is no JPEG."""
    if not data.startswith(_JPEG):
        raise QueryRefused(NOT_ACCEPTABLE)
    return Picture(str(1_700_000_000 + secrets.randbelow(10**9)), data)


def answer_picture(stream: Stream, query: Node) -> list[Node]:
    """Have or set a picture (`w:profile:picture`); `target` is missing where it is one's own."""
    network, companion = stream.network, stream.companion
    if companion is None:
        return []
    target = as_jid(query.attrs["target"]) if "target" in query.attrs else companion.account.jid
    if query.attrs.get("type") == "get":
        picture = _picture_of(network, target)
        if picture is None:
            raise QueryRefused(NOT_FOUND)
        given = query.child("picture")
        kind = given.text("type") if given is not None else "image"
        attrs = {"id": picture.id, "type": kind, "direct_path": picture.path}
        return [Node("picture", {**attrs, "url": f"https://pps.whatsapp.net{picture.path}"})]
    given = query.child("picture")
    picture = new_picture(given.data) if given is not None else None
    if target.server == GROUP:
        network.group(target).set_picture(network, companion.account, picture)
    elif network.find(target) is companion.account:
        companion.account.picture = picture
    else:
        raise QueryRefused(UNAUTHORIZED)
    return [Node("picture", {"id": picture.id})] if picture is not None else []


def _picture_of(network: NetworkState, target: Jid) -> Picture | None:
    if target.server == GROUP:
        group: Group = network.group(target)
        return group.picture
    account = network.find(target)
    if account is not None and account.picture_hidden:
        raise QueryRefused(UNAUTHORIZED)
    return account.picture if account is not None else None


def answer_graph(stream: Stream, query: Node) -> list[Node]:
    """A GraphQL mutation (`w:mex`): the one that is known sets the "about" text."""
    asked = query.child("query")
    if asked is not None and stream.companion is not None:
        variables = msgspec.json.decode(asked.data).get("variables", {})
        text = variables.get("input", {}).get("text")
        if isinstance(text, str):
            stream.companion.account.about = text
    return [Node("result", {}, b'{"data":{}}')]
