"""What holds for every room's tests: a slow machine fails nobody, and what could not be tested is said aloud."""

import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

import browser
import pgbouncer
import postgres_server
from postgres_server import PostgresServer

settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """One server for all tests. Whoever stops it starts it again."""
    try:
        server = PostgresServer()
    except Exception as ex:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"{postgres_server.NOT_RUN} ({ex!r})")
    with server:
        yield server


@pytest.fixture
def database(postgres: PostgresServer) -> str:
    """The address of an empty database."""
    return postgres.database()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    skipped = [str(report.longrepr) for report in terminalreporter.stats.get("skipped", [])]
    for not_run in (browser.NOT_RUN, postgres_server.NOT_RUN, pgbouncer.NOT_RUN):
        if any(not_run in reason for reason in skipped):
            terminalreporter.write_line(not_run, red=True, bold=True)
