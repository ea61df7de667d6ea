"""What neonize's events say of groups, by the shape of its protobufs."""

from types import SimpleNamespace
from typing import Any

from chatbot_erp.actors.wa_groups import blocklist, changed, joined
from chatbot_erp.eventstore.events import BlocklistChanged


def jid(text: str) -> Any:
    user, _, server = text.partition("@")
    return SimpleNamespace(User=user, Server=server)


class Shape(SimpleNamespace):
    """A protobuf by shape: what was not given is there, and not set."""

    def HasField(self, name: str) -> bool:
        return name in self.__dict__


def change(**fields: Any) -> Any:
    people: dict[str, Any] = {"Join": [], "Leave": [], "Promote": [], "Demote": []}
    return Shape(JID=jid("9@g.us"), Sender=jid("7@lid"), Timestamp=1_700_000_000, **{**people, **fields})


def test_only_what_is_different_is_told() -> None:
    seen = changed(change(Name=SimpleNamespace(Name="Entregas"), Join=[jid("8@lid")]))
    assert seen is not None
    assert (seen.change.jid, seen.change.by) == ("9@g.us", "7@lid")
    assert (seen.change.subject, seen.change.description, seen.change.announce) == ("Entregas", None, None)
    assert (seen.change.joined, seen.change.left, seen.change.invite_reset) == (("8@lid",), (), False)


def test_a_new_invitation_is_told_without_its_link() -> None:
    seen = changed(change(NewInviteLink="https://chat.whatsapp.com/secret"))
    assert seen is not None
    assert seen.change.invite_reset
    assert "secret" not in repr(seen)


def test_a_change_that_nobody_records_is_none() -> None:
    assert changed(change()) is None


def test_who_joins_sees_numbers_where_whatsapp_shows_them() -> None:
    people = [
        SimpleNamespace(PhoneNumber=jid("5511@s.whatsapp.net"), LID=jid("1@lid"), JID=jid("1@lid")),
        SimpleNamespace(PhoneNumber=jid(""), LID=jid("2@lid"), JID=jid("2@lid")),
    ]
    info = SimpleNamespace(
        JID=jid("9@g.us"),
        GroupName=SimpleNamespace(Name="Pedidos"),
        GroupTopic=SimpleNamespace(Topic=""),
        Participants=people,
        ParticipantVersionID="4",
    )
    seen = joined(SimpleNamespace(GroupInfo=info, Reason="invite"))
    assert seen is not None
    assert (seen.version, seen.joined.reason) == ("4", "invite")
    assert seen.joined.participants == ("5511@s.whatsapp.net", "2@lid")


def test_a_block_list_is_told_person_by_person() -> None:
    changes = [SimpleNamespace(JID=jid("1@lid"), BlockAction=1), SimpleNamespace(JID=jid("2@lid"), BlockAction=2)]
    seen = blocklist(SimpleNamespace(Changes=changes, DHASH="7"))
    assert seen is not None
    assert seen.changes == (
        BlocklistChanged(jid="1@lid", blocked=True, version="7"),
        BlocklistChanged(jid="2@lid", blocked=False, version="7"),
    )
    assert blocklist(SimpleNamespace(Changes=[], DHASH="8")) is None
