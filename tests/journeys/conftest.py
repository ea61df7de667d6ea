"""What every journey stands on: one sandbox network for all, a receiver and a manager for each."""

import itertools
import os
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from browser import DASHBOARD_KEY, NOT_RUN, NewVisitor, Visitor, find_chromium, open_browser, signed_in
from chatbot_erp.sandbox.client import Network, Phone
from manager_process import ManagerProcess, end_of
from nodes import Nodes
from postgres_server import PostgresServer
from receiver import Receiver
from stores import STORES

ON_POSTGRESQL = os.environ.get("JOURNEYS_ON") == "postgresql"
"""All managers have their logs and sessions in a PostgreSQL of the tests' own, but for those that say where."""

_numbers = itertools.count(10_000_000)
_names = (f"shop-{n}" for n in itertools.count(1))


@pytest.fixture(scope="session", autouse=True)
def stores(request: pytest.FixtureRequest) -> None:
    if ON_POSTGRESQL:
        server: PostgresServer = request.getfixturevalue("postgres")
        STORES.use(server)


@pytest.fixture(autouse=True)
def applicable(request: pytest.FixtureRequest) -> None:
    """What is about SQLite's files says why it is, and is not run without them."""
    if ON_POSTGRESQL and (mark := request.node.get_closest_marker("sqlite")):
        pytest.skip(f"NOT APPLICABLE on PostgreSQL: {mark.args[0]}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Function) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A journey that fails shows how the logs of its managers end: they are gone when somebody asks for them."""
    report = yield
    if report.failed:
        for log in sorted(logs_of(item.funcargs.values())):
            with suppress(OSError):  # what vanishes meanwhile must not end the whole run
                report.sections.append((f"end of {log.name}", end_of(log)))
    return report


def logs_of(fixtures: Iterable[object]) -> set[Path]:
    """Those of managers that a test has, or that has what it has, and that it began in its own directory."""
    logs: set[Path] = set()
    for fixture in fixtures:
        match getattr(fixture, "manager", fixture):
            case ManagerProcess(log=log):
                logs.add(log)
            case Path() as directory:
                with suppress(OSError):
                    logs.update(directory.glob("*.log"), directory.glob("*/hosts/*.log"))
    return {log for log in logs if log.exists()}


@pytest.fixture(scope="session")
def network() -> Iterator[Network]:
    with Network.start() as network:
        yield network


@pytest.fixture
def new_phone(network: Network) -> Callable[[str], Phone]:
    """A phone with a number nobody had before."""
    return lambda name: network.phone(f"5511{next(_numbers)}", name=name)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


@pytest.fixture
def manager(tmp_path: Path, network: Network) -> Iterator[ManagerProcess]:
    with ManagerProcess(tmp_path / "data", network) as manager:
        yield manager


@pytest.fixture
def nodes(tmp_path: Path, database: str, network: Network) -> Iterator[Nodes]:
    nodes = Nodes(tmp_path, database, network)
    yield nodes
    nodes.end()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    path = find_chromium()
    if path is None and os.environ.get("CI"):
        pytest.fail(NOT_RUN)
    if path is None:
        pytest.skip(NOT_RUN)
    with open_browser(path) as browser:
        yield browser


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory, network: Network) -> Iterator[ManagerProcess]:
    """One manager for all of these; each makes instances of its own."""
    with ManagerProcess(tmp_path_factory.mktemp("dashboard") / "data", network, api_key=DASHBOARD_KEY) as manager:
        yield manager


@pytest.fixture
def new_visitor(chromium: Browser, house: ManagerProcess) -> Iterator[NewVisitor]:
    """Somebody who opens the dashboard; the browser may complain of nothing."""
    visitors: list[Visitor] = []

    def come(**screen: Any) -> Visitor:
        visitors.append(Visitor(chromium, house.url, **screen))
        return visitors[-1]

    yield come
    complaints = [complaint for visitor in visitors for complaint in visitor.complaints]
    for visitor in visitors:
        visitor.context.close()
    assert complaints == []


@pytest.fixture
def page(new_visitor: NewVisitor) -> Page:
    """The dashboard, signed in."""
    return signed_in(new_visitor())


@pytest.fixture
def name() -> str:
    return next(_names)


@pytest.fixture
def linked(house: ManagerProcess, new_phone: Callable[[str], Phone], name: str) -> Phone:
    """The phone of an instance that is connected."""
    phone = new_phone("Empresa X")
    house.pair(name, phone)
    return phone
