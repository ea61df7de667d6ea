"""What every journey stands on: one sandbox network for all, a receiver and a manager for each."""

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from chatbot_erp.sandbox.client import Network, Phone
from manager_process import ManagerProcess
from receiver import Receiver

_numbers = itertools.count(10_000_000)


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
