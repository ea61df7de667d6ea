"""Keys: what one allows, how it is kept, and the commands that make and revoke it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from filelock import FileLock

from chatbot_erp.actors.api_keys import EVERYTHING, Grant, KeyRing, Scope
from chatbot_erp.actors.key_commands import has_keys, key_ring
from chatbot_erp.actors.main import main
from chatbot_erp.eventstore.vault import Vault

NOW = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
READ = frozenset({Scope.READ})


@pytest.mark.parametrize("scope", Scope)
def test_manage_includes_every_scope_and_the_others_only_themselves(scope: Scope) -> None:
    assert EVERYTHING.allows(scope)
    assert [other for other in Scope if Grant(scopes=frozenset({scope})).allows(other)] == (
        list(Scope) if scope is Scope.MANAGE else [scope]
    )


def test_a_key_opens_until_it_is_revoked_also_for_a_ring_that_was_there_before(tmp_path: Path) -> None:
    with key_ring(tmp_path, makes=True) as ring, key_ring(tmp_path) as other:
        assert ring.is_empty()
        key, record = ring.create(READ, frozenset({"a"}), "crm", NOW)
        assert other.find(key.encode()) == record
        assert not record.grant.reaches("b")
        assert other.revoke(record.id, NOW) is not None
        assert ring.find(key.encode()) is None
        assert not ring.is_empty()
        assert ring.revoke("nobody", NOW) is None


def test_what_only_resembles_a_key_opens_nothing(tmp_path: Path) -> None:
    with key_ring(tmp_path, makes=True) as ring:
        key, record = ring.create(READ, None, "", NOW)
        wrong = ["", "_", "cerp", f"cerp_{record.id}", f"cerp_{record.id}_", key[:-1], key + "x", key.upper()]
        wrong += [
            key.replace("cerp", "perc"),
            key.replace(record.id, "00000000"),
            f"cerp_{record.digest}",
            record.digest,
        ]
        assert [text for text in wrong if ring.find(text.encode())] == []
        assert ring.find(b"cerp_\xff\x00_x") is None


def test_a_key_is_in_no_file_but_its_hash_is(tmp_path: Path) -> None:
    vault = Vault.open(tmp_path)
    key, record = KeyRing(vault).create(READ, None, "", NOW)
    vault.close()
    kept = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert key[-20:].encode() not in kept
    assert record.digest.encode() in kept


class TestCommands:
    @pytest.fixture
    def data_dir(self, tmp_path: Path) -> Path:
        return tmp_path / "data"

    def run(self, data_dir: Path, *words: str) -> Result:
        return CliRunner().invoke(main, ["keys", words[0], "--data-dir", str(data_dir), *words[1:]])

    def test_a_key_is_made_listed_and_revoked(self, data_dir: Path) -> None:
        assert not has_keys(data_dir)
        made = self.run(data_dir, "create", "--scope", "send", "--scope", "read", "-i", "a", "--label", "crm")
        key = made.stdout.strip()
        assert has_keys(data_dir)
        assert data_dir.stat().st_mode & 0o777 == 0o700
        (listed,) = map(json.loads, self.run(data_dir, "list", "--json").stdout.splitlines())
        assert sorted(listed["grant"]["scopes"]) == ["read", "send"]
        assert (listed["grant"]["instances"], listed["label"], listed["revoked_at"]) == (["a"], "crm", None)
        shown = self.run(data_dir, "list").stdout
        assert "crm" in shown
        with key_ring(data_dir) as ring:
            record = ring.find(key.encode())
            assert record is not None
            assert key.split("_", 2)[2] not in shown
            assert record.digest not in shown
            assert self.run(data_dir, "revoke", listed["id"]).exit_code == 0
            assert ring.find(key.encode()) is None

    def test_what_cannot_be_is_said(self, data_dir: Path) -> None:
        assert self.run(data_dir, "create").exit_code == 2
        assert self.run(data_dir, "create", "--scope", "everything").exit_code == 2
        refused = self.run(data_dir, "revoke", "nobody")
        assert refused.exit_code == 1
        assert "There are no keys in" in refused.output
        assert self.run(data_dir, "create", "--scope", "read").exit_code == 0
        refused = self.run(data_dir, "revoke", "nobody")
        assert refused.exit_code == 1
        assert "There is no key nobody" in refused.output

    def test_beyond_loopback_a_manager_without_any_key_does_not_start(self, data_dir: Path) -> None:
        refused = CliRunner().invoke(main, ["serve", "--host", "0.0.0.0", "--data-dir", str(data_dir)])
        assert refused.exit_code == 2
        assert "can be reached by others" in refused.output
        assert not data_dir.exists()

    def test_a_node_that_others_can_reach_does_not_start_without_any_key(self, database: str, data_dir: Path) -> None:
        data_dir.mkdir()
        words = ["--database", database, "--share", "--data-dir", str(data_dir)]
        with FileLock(data_dir / "manager.lock"):  # one that started all the same would end at once
            refused = CliRunner().invoke(main, ["serve", *words, "--advertise", "http://10.0.0.5:3000"])
        assert refused.exit_code == 2
        assert "the same for all nodes" in refused.output
