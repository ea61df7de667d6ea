"""Numbers that go from this node to another one, and come back, for tests of the supervisor."""

import math
from concurrent.futures import Future
from queue import Queue

from chatbot_erp.actors import frames, tidings
from chatbot_erp.eventstore.company import Alone
from chatbot_erp.eventstore.placement import Placement
from supervisor_world import PATIENCE_S, FakeHost, World


class Fellows(Alone):
    """This node and others: what it has and lets go of."""

    node = "here"

    def __init__(self) -> None:
        super().__init__()
        self.gone = {"elsewhere"}
        self.given: Queue[str] = Queue()
        self.exchanged: list[tuple[str, str]] = []
        self.until = math.inf

    def leased_until(self) -> float:
        return self.until

    def has(self, stream: str, /) -> bool:
        return stream not in self.gone

    def exchange(self, going: str, staying: str, /) -> None:
        self.exchanged.append((going, staying))

    def hand_over(self, stream: str, /) -> Future[None]:
        self.gone.add(stream)
        self.given.put(stream)
        done: Future[None] = Future()
        done.set_result(None)
        return done


def going(*names: str) -> tidings.Placements:
    """These are here, and the other node is to have them."""
    return tidings.Placements(mine=tuple(Placement(name, "here", "there") for name in names))


def here(*names: str) -> tidings.Placements:
    """These are here and stay."""
    return tidings.Placements(mine=tuple(Placement(name, "here") for name in names))


def let_go(world: World, host: FakeHost, generation: int, *names: str) -> None:
    """Have these go, whose sockets are on that host, and the last of their generation."""
    fellows = world.store.company
    assert isinstance(fellows, Fellows)
    world.supervisor.tell(going(*names))
    for _ in names:
        host.next(frames.CloseSocket)
    for name in names:
        world.say(host, name, generation, frames.SocketClosed())
    assert {fellows.given.get(timeout=PATIENCE_S) for _ in names} == set(names)


def gone_to_another_node(world: World, *others: str) -> Fellows:
    """The number "a" was here, and those others."""
    fellows = world.store.company = Fellows()
    host = world.connect("a")
    for name in others:
        world.connect(name, host)
    let_go(world, host, 2, "a", *others)
    return fellows
