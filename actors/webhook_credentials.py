"""What is secret about an endpoint, in the vault: its signing secret, the one before it, the values of its headers."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import msgspec

from chatbot_erp.actors.errors import Refused, Unavailable
from chatbot_erp.actors.webhook import new_secret, signing_key
from chatbot_erp.eventstore.errors import OutcomeUnknown, StoreError
from chatbot_erp.eventstore.records import MAIN
from chatbot_erp.eventstore.vault import Vault

KINDS = SECRET, FORMER, HEADERS = "webhook", "webhook_former", "webhook_headers"
"""What the vault calls them."""


class Former(msgspec.Struct, frozen=True):
    """A secret that signs until a moment."""

    secret: str
    until: datetime


class Keys(msgspec.Struct, frozen=True, kw_only=True):
    """What an attempt needs. Never printed."""

    new: bytes | None
    old: bytes | None = None
    old_until: datetime | None = None
    headers: dict[str, str] = {}

    def at(self, moment: datetime) -> tuple[bytes, ...]:
        """The keys that sign at a moment, the new one first."""
        old = self.old if self.old_until is not None and moment < self.old_until else None
        return tuple(key for key in (self.new, old) if key is not None)

    def __repr__(self) -> str:
        return "Keys()"


class Credentials:
    """Of one endpoint. Any thread may call; every method may raise what the vault raises."""

    def __init__(self, vault: Vault, instance: str, endpoint: str) -> None:
        self._vault = vault
        self._owner = instance if endpoint == MAIN else f"{instance}/{endpoint}"

    def secret(self) -> str | None:
        """The present signing secret."""
        found = self._vault.get(SECRET, self._owner)
        return found.decode() if found is not None else None

    def make(self) -> str:
        """A new signing secret, which is the only one."""
        secret = new_secret()
        self._vault.delete(FORMER, self._owner)
        self._vault.put(SECRET, self._owner, secret.encode())
        return secret

    def rotate(self, secret: str, old_until: datetime) -> None:
        """Sign with `secret`, and until then also with the present one. The same again changes nothing."""
        present = self.secret()
        if present is not None and present != secret:
            former = msgspec.json.encode(Former(present, old_until.astimezone(UTC)))
            self._vault.put(FORMER, self._owner, former)
        self._vault.put(SECRET, self._owner, secret.encode())

    def keep_headers(self, headers: dict[str, str]) -> None:
        """Send these along from now on, and no others."""
        if headers:
            self._vault.put(HEADERS, self._owner, msgspec.json.encode(headers))
        else:
            self._vault.delete(HEADERS, self._owner)

    def keys(self) -> Keys:
        """All that an attempt needs. Raises `ValueError` for a secret that is none."""
        secret = self.secret()
        former = self._vault.get(FORMER, self._owner)
        old = msgspec.json.decode(former, type=Former) if former else None
        headers = self._vault.get(HEADERS, self._owner)
        return Keys(
            new=signing_key(secret) if secret else None,
            old=signing_key(old.secret) if old else None,
            old_until=old.until if old else None,
            headers=msgspec.json.decode(headers, type=dict[str, str]) if headers else {},
        )

    def forget(self) -> None:
        """For ever."""
        for kind in KINDS:
            self._vault.delete(kind, self._owner)

    @contextmanager
    def taken_back_if_refused(self) -> Iterator[None]:
        """Leave all as it was where what is done within certainly came to nothing: nobody is shown a new secret then.

        What may still be carried out needs it.
        """
        before = {kind: self._vault.get(kind, self._owner) for kind in KINDS}
        try:
            yield
        except OutcomeUnknown:
            raise
        except (Refused, Unavailable, StoreError):
            for kind, value in before.items():
                if value is None:
                    self._vault.delete(kind, self._owner)
                else:
                    self._vault.put(kind, self._owner, value)
            raise


def forget_gone(vault: Vault, is_gone: Callable[[str, str], bool]) -> None:
    """Forget what is secret about endpoints that are no more, by instance and id; raises what the vault raises."""
    for kind in KINDS:
        for owner in vault.all(kind):
            instance, _, endpoint = owner.partition("/")
            if is_gone(instance, endpoint or MAIN):
                vault.delete(kind, owner)
