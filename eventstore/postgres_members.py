"""What a node that waits for its turn does in the database: it is seen, and sees who works."""

from chatbot_erp.eventstore import postgres
from chatbot_erp.eventstore.lease import Node
from chatbot_erp.eventstore.postgres_keys import KeysConnection
from chatbot_erp.eventstore.postgres_lease import see
from chatbot_erp.eventstore.vault import Vault

ANSWER_S = 5.0


class Members:
    """The nodes of the database at this address. Any thread; every method may raise a StoreError. It changes no schema."""

    def __init__(self, url: str) -> None:
        self._readers = postgres.Readers(lambda: postgres.connect(url, answer_s=ANSWER_S), 1)
        self.vault = Vault(KeysConnection(url))

    def see(self, node: Node) -> None:
        """Have it known that the node is there."""
        self._readers.run(lambda ask: see(ask, node))

    def holder(self) -> Node | None:
        """Who works, unless its lease has lapsed."""
        found = self._readers.run(lambda ask: ask("holder").fetchone())
        return Node(name=found[0], url=found[1], movable=True) if found else None

    def close(self) -> None:
        """Idempotent."""
        self._readers.close()
        self.vault.close()
