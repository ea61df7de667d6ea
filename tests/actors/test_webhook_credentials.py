"""Secrets and headers of one endpoint."""

from datetime import UTC, datetime
from pathlib import Path

from chatbot_erp.actors.webhook_credentials import Credentials
from chatbot_erp.eventstore.records import MAIN
from chatbot_erp.eventstore.vault import Vault

UNTIL = datetime(2026, 1, 1, tzinfo=UTC)


def test_a_rotation_that_is_taken_back_leaves_both_secrets_as_they_were(tmp_path: Path) -> None:
    vault = Vault.open(tmp_path)
    credentials = Credentials(vault, "a", MAIN)
    first = credentials.make()
    credentials.rotate("whsec_" + "A" * 32, UNTIL)()
    assert credentials.secret() == first
    assert credentials.keys().old is None
    credentials.rotate(second := "whsec_" + "B" * 32, UNTIL)
    before = credentials.keys()
    credentials.rotate("whsec_" + "C" * 32, UNTIL)()
    assert credentials.secret() == second
    assert (credentials.keys().old, credentials.keys().old_until) == (before.old, before.old_until)
    vault.close()
