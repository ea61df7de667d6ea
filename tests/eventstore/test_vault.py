"""Secrets are kept until they are deleted, and then they are nowhere."""

import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest

from chatbot_erp.eventstore.errors import LogTooNew, StoreClosed, StoreUnavailable
from chatbot_erp.eventstore.vault import Vault


def test_a_secret_is_there_after_a_restart(directory: Path) -> None:
    vault = Vault.open(directory)
    vault.put("webhook", "a", b"first")
    vault.put("webhook", "a", b"second")
    vault.put("subject", "a", b"other\0")
    vault.close()
    vault = Vault.open(directory)
    assert vault.get("webhook", "a") == b"second"
    assert vault.get("subject", "a") == b"other\0"
    assert vault.get("subject", "b") is None
    vault.close()


def test_a_deleted_or_replaced_secret_is_in_no_file(directory: Path) -> None:
    secret = b"\x01very-secret-bytes\x02" * 4
    vault = Vault.open(directory)
    for n in range(200):
        vault.put("webhook", str(n), secret + bytes([n]))
    assert vault.delete("webhook", "0")
    assert not vault.delete("webhook", "0")
    for n in range(1, 100):
        vault.delete("webhook", str(n))
    for n in range(100, 200):
        vault.put("webhook", str(n), b"new")
    assert not any(secret in path.read_bytes() for path in directory.iterdir())
    vault.close()
    assert [path.name for path in directory.iterdir()] == ["keys.db"]
    assert secret not in (directory / "keys.db").read_bytes()


def test_the_file_is_for_its_owner_only(directory: Path) -> None:
    Vault.open(directory).close()
    assert (directory / "keys.db").stat().st_mode & 0o777 == 0o600


def test_many_threads_may_use_it(directory: Path) -> None:
    vault = Vault.open(directory)

    def work(kind: str) -> None:
        for n in range(20):
            vault.put(kind, str(n), f"{kind}{n}".encode())
            assert vault.get(kind, str(n)) == f"{kind}{n}".encode()

    threads = [threading.Thread(target=work, args=(f"k{n}",)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert vault.get("k3", "7") == b"k37"
    vault.close()


def test_a_closed_vault_says_so(directory: Path) -> None:
    vault = Vault.open(directory)
    vault.close()
    vault.close()
    with pytest.raises(StoreClosed):
        vault.get("a", "b")


def test_a_newer_or_broken_vault_is_refused(directory: Path) -> None:
    Vault.open(directory).close()
    with closing(sqlite3.connect(directory / "keys.db")) as connection:
        connection.execute("PRAGMA user_version = 9")
    with pytest.raises(LogTooNew, match="9"):
        Vault.open(directory)
    (directory / "keys.db").write_bytes(b"no database" * 1000)
    with pytest.raises(StoreUnavailable):
        Vault.open(directory)
