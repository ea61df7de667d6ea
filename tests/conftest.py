"""What holds for every room's tests: a slow machine fails nobody, and what could not be tested is said aloud."""

import pytest
from hypothesis import HealthCheck, settings

from browser import NOT_RUN

settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if any(NOT_RUN in str(report.longrepr) for report in terminalreporter.stats.get("skipped", [])):
        terminalreporter.write_line(NOT_RUN, red=True, bold=True)
