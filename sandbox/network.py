"""All that one network knows: its accounts, who is connected, what is wrong on purpose."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from chatbot_erp.sandbox.accounts import Account
from chatbot_erp.sandbox.conditions import Conditions
from chatbot_erp.sandbox.jid import GROUP, LID, USER, Jid, default_lid, digits, spellings
from chatbot_erp.sandbox.media_host import MediaHost
from chatbot_erp.sandbox.noise import ServerIdentity
from chatbot_erp.sandbox.refusals import NOT_FOUND, QueryRefused

if TYPE_CHECKING:
    from chatbot_erp.sandbox.groups import Group
    from chatbot_erp.sandbox.link_code import ShownCode
    from chatbot_erp.sandbox.stream import Stream


class Unknown(Exception):
    """Raised when something is asked of a number or a code that this network does not know."""


@dataclass(slots=True)
class Counters:
    connections_total: int = 0
    refused_total: int = 0
    logins_total: int = 0
    messages_in: int = 0
    messages_late: int = 0
    messages_out: int = 0
    receipts_in: int = 0
    receipts_out: int = 0
    retries_in: int = 0
    undecryptable: int = 0


class NetworkState:
    """The network in memory. It lives on one event loop and is touched by nothing else."""

    def __init__(self, media: Path) -> None:
        """Encrypted media is kept in the directory `media`, which is made here."""
        self.media = MediaHost(self, media)
        self.identity = ServerIdentity()
        self.conditions = Conditions()
        self.counters = Counters()
        self.accounts: dict[str, Account] = {}
        self._by_lid: dict[str, Account] = {}
        self.groups: dict[str, Group] = {}
        self.streams: set[Stream] = set()
        # Companions that show a QR code, by each reference in it.
        self.waiting: dict[str, Stream] = {}
        # Companions that show a pairing code, by the number they were asked to link.
        self.codes: dict[str, ShownCode] = {}

    def register(self, number: str, name: str | None, lid: str | None) -> Account:
        """The account of a number; a new one if there is none yet."""
        number = digits(number)
        account = self.accounts.get(number)
        if account is None:
            account = Account(number, lid or default_lid(number), name or number, self.conditions)
            self.accounts[number] = self._by_lid.setdefault(account.lid, account)
        elif lid not in (None, account.lid):
            raise Unknown(f"{number} has the LID {account.lid} already.")
        if name is not None:
            account.name = name
        return account

    def account(self, number: str) -> Account:
        """The account a test speaks of; it must have been registered."""
        number = digits(number)
        if number not in self.accounts:
            raise Unknown(f"{number} is no phone of this network; register it with network.phone().")
        return self.accounts[number]

    def find(self, jid: Jid) -> Account | None:
        """The account behind a JID."""
        if jid.server == LID:
            return self._by_lid.get(jid.user)
        return self.accounts.get(jid.user) if jid.server == USER else None

    def group(self, jid: Jid) -> Group:
        """The group behind a JID. Raises `QueryRefused` (404)."""
        group = self.groups.get(jid.user) if jid.server == GROUP else None
        if group is None:
            raise QueryRefused(NOT_FOUND)
        return group

    def look_up(self, number: str) -> Account | None:
        """The account one reaches by dialling a number, with or without the ninth digit."""
        return next((self.accounts[n] for n in spellings(number) if n in self.accounts), None)

    @staticmethod
    def new_message_id() -> str:
        """Phones' ids are 32 hex digits (those of web clients begin with 3EB0)."""
        return secrets.token_hex(16).upper()
