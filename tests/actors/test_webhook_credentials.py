"""Secrets and headers of one endpoint."""

from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest

from chatbot_erp.actors.errors import BadEndpoint, OutcomeUnknown, Unavailable
from chatbot_erp.actors.webhook_credentials import Credentials
from chatbot_erp.eventstore import errors as store
from chatbot_erp.eventstore.records import MAIN
from chatbot_erp.eventstore.vault import Vault

FIRST, SECOND, THIRD = ("whsec_" + letter * 32 for letter in "ABC")
UNTIL = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def credentials(tmp_path: Path) -> Iterator[Credentials]:
    vault = Vault.open(tmp_path)
    yield Credentials(vault, "a", MAIN)
    vault.close()


def shown(credentials: Credentials) -> tuple[object, ...]:
    keys = credentials.keys()
    return (keys.new, keys.old, keys.old_until, keys.headers)


def change(credentials: Credentials, error: Exception) -> None:
    with suppress(type(error)), credentials.taken_back_if_refused():
        credentials.rotate(THIRD, UNTIL)
        credentials.keep_headers({"X-Token": "third"})
        raise error


@pytest.mark.parametrize(
    "error", [BadEndpoint("no"), Unavailable("no"), store.StoreUnavailable("full", "no"), store.StoreClosed()], ids=repr
)
def test_what_is_refused_leaves_secrets_and_headers_as_they_were(credentials: Credentials, error: Exception) -> None:
    change(credentials, error)
    assert shown(credentials) == (None, None, None, {})
    credentials.rotate(FIRST, UNTIL)
    credentials.rotate(SECOND, UNTIL)
    credentials.keep_headers({"X-Token": "second"})
    before = shown(credentials)
    change(credentials, error)
    assert shown(credentials) == before


@pytest.mark.parametrize(
    "error", [OutcomeUnknown("who knows"), store.OutcomeUnknown(), RuntimeError("after it was done")], ids=repr
)
def test_what_may_have_been_done_has_its_secrets_and_headers(credentials: Credentials, error: Exception) -> None:
    credentials.rotate(SECOND, UNTIL)
    former = credentials.keys().new
    change(credentials, error)
    assert credentials.secret() == THIRD
    assert shown(credentials)[1:] == (former, UNTIL, {"X-Token": "third"})
