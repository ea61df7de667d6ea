"""Keys for callers: what one allows, how one is made, and the ring that keeps them.

A key is `cerp_<id>_<secret>`. The id is public and finds the record; of the whole key only its SHA-256 is kept, which
is enough for 256 random bits. A revoked key stays on the ring: it is on record, and a manager that ever had keys never
falls back to needing none.
"""

import secrets
from datetime import datetime
from enum import StrEnum
from hashlib import sha256
from hmac import compare_digest

import msgspec

from chatbot_erp.eventstore.vault import Vault

VAULT_KIND = "api-key"
PREFIX = b"cerp"


class Scope(StrEnum):
    """What a key lets its bearer do."""

    READ = "read"
    """Look: instances, the log, metrics. Never a QR code, which links a number to whoever scans it."""
    SEND = "send"
    """Send in an instance's name, and nothing else."""
    MANAGE = "manage"
    """Everything: who may point a webhook elsewhere can read all, who may link a phone can send all."""


class Grant(msgspec.Struct, frozen=True, kw_only=True):
    """What a caller may do. `instances` are names; None is every instance there is or will be."""

    scopes: frozenset[Scope]
    instances: frozenset[str] | None = None

    def allows(self, scope: Scope) -> bool:
        return scope in self.scopes or Scope.MANAGE in self.scopes

    def reaches(self, name: str) -> bool:
        return self.instances is None or name in self.instances


EVERYTHING = Grant(scopes=frozenset({Scope.MANAGE}))


class ApiKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key as it is kept; `digest` is the SHA-256 of the key, in hex."""

    id: str
    digest: str
    grant: Grant
    label: str
    created_at: datetime
    revoked_at: datetime | None = None

    def __repr__(self) -> str:
        return f"ApiKey(id={self.id!r})"


class KeyRing:
    """All keys; any thread, and the command line beside a running manager. Every method may raise a `StoreError`."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault

    def create(
        self, scopes: frozenset[Scope], instances: frozenset[str] | None, label: str, now: datetime
    ) -> tuple[str, ApiKey]:
        """A new key, which nobody can ever show again, and its record."""
        key_id = secrets.token_hex(4)
        key = f"{PREFIX.decode()}_{key_id}_{secrets.token_urlsafe(32)}"
        grant = Grant(scopes=scopes, instances=instances)
        record = ApiKey(id=key_id, digest=digest(key.encode()), grant=grant, label=label, created_at=now)
        self._keep(record)
        return key, record

    def all(self) -> list[ApiKey]:
        """Every key that was ever made, the oldest first."""
        records = [msgspec.json.decode(kept, type=ApiKey) for kept in self._vault.all(VAULT_KIND).values()]
        return sorted(records, key=lambda record: record.created_at)

    def revoke(self, key_id: str, now: datetime) -> ApiKey | None:
        """Let nobody in with this key from now on; None if there is no such key. Harmless when repeated."""
        record = self.get(key_id)
        if record is not None and record.revoked_at is None:
            record = msgspec.structs.replace(record, revoked_at=now)
            self._keep(record)
        return record

    def get(self, key_id: str) -> ApiKey | None:
        """A key's record, also of a revoked one."""
        kept = self._vault.get(VAULT_KIND, key_id)
        return msgspec.json.decode(kept, type=ApiKey) if kept is not None else None

    def find(self, key: bytes) -> ApiKey | None:
        """The record of a key that is shown, unless it is unknown or revoked."""
        prefix, _, rest = key.partition(b"_")
        key_id = rest.partition(b"_")[0]
        if prefix != PREFIX or not key_id.isalnum():
            return None
        record = self.get(key_id.decode())
        if record is None or record.revoked_at is not None or not compare_digest(digest(key), record.digest):
            return None
        return record

    def is_empty(self) -> bool:
        """Whether no key was ever made."""
        return not self._vault.all(VAULT_KIND)

    def _keep(self, record: ApiKey) -> None:
        self._vault.put(VAULT_KIND, record.id, msgspec.json.encode(record))


def digest(key: bytes) -> str:
    """The SHA-256 of a key, in hex: what is kept and compared, and the name of a caller."""
    return sha256(key).hexdigest()
