"""The nodes that share a log, as each of them sees the others. Where there is one only, it has everything."""

import math
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import Future
from datetime import datetime
from typing import Protocol
from uuid import uuid4

import msgspec

from chatbot_erp.eventstore.erasures import WHOEVER
from chatbot_erp.eventstore.placement import Placement


class Seen(msgspec.Struct, frozen=True):
    """A node, when it was last heard of, and how many instances with a name it has."""

    name: str
    url: str
    seen_at: datetime
    alive: bool
    instances: int
    leaving: bool = False
    """It ends, and is given nothing more."""


class Seat(msgspec.Struct, frozen=True):
    """Where an instance is: at a node, and whether that can be asked now."""

    stream: str
    node: str
    url: str
    alive: bool


class News(msgspec.Struct, frozen=True):
    """What a node has, and where all that live are reached, by their names."""

    mine: tuple[Placement, ...]
    living: Mapping[str, str]


VISITED = "/"
"""Stands among machines for the data directory of a visitor. No node has such a name."""

Hear = Callable[[News], None]


class Company(Protocol):
    """Any thread may call. Every method but `leased_until`, `announce` and `close` may raise a StoreError."""

    node: str
    """The name of this one; empty where there is no other."""
    machine: str
    """Under which all that ever worked here know this one's data directory; `VISITED` is one that a visitor has and no node
    had, `WHOEVER` where there is no other: its data directory may get a name."""
    life: str
    """This node's present life; no other has the same."""

    def leased_until(self) -> float:
        """By `lease.boot_time`, until when nobody takes what this node has; where nobody can, for ever."""

    def announce(self, url: str, hear: Hear, /) -> None:
        """Others reach this node there from now on. Have `hear` called, on a thread of the store, whenever something may have changed."""

    def leave(self) -> None:
        """The end has begun: have others given what this node has, as it lets go of it. Nothing more is given to it."""

    def can_part(self) -> bool:
        """Whether this node has something that another one can be given."""

    def secret(self) -> bytes:
        """What all nodes share, and only who reads the database knows."""

    def nodes(self) -> list[Seen]:
        """All that were seen in the last day; none where there is no other."""

    def machines(self) -> dict[str, str | None]:
        """All that worked here in the last 30 days, and the lives of those that work now."""

    def former_names(self) -> list[str]:
        """Of this data directory, under which nobody works any more: what is left to them is left to this node."""

    def succeed(self, names: Collection[str], /) -> None:
        """Nothing is left any more to these former names: nobody is to wait for them."""

    def is_living(self, life: str, /) -> bool:
        """Whether somebody else who has this life still goes on with it."""

    def fix(self, streams: Collection[str], /) -> None:
        """Of what this node has, just these are not for others: something of theirs is on this machine only.

        Those of these that were so under a former name of this data directory come to this node, now or when nobody goes on
        under that. One that has the database to itself also takes those that were so on another machine: it is here now.
        """

    def reserve(self, stream: str, name: str, /) -> bool:
        """Have a name and a place for a new instance, durably; false where the name is taken."""

    def forget(self, stream: str, /) -> None:
        """Nothing of an instance of this node is left to do. Waits for nobody."""

    def has(self, stream: str, /) -> bool:
        """Whether this node has the instance."""

    def mine(self) -> Callable[[str], bool]:
        """Which of all instances this node has now."""

    def seat(self, name: str, /) -> Seat | None:
        """Where the instance of this name is."""

    def seats(self) -> dict[str, tuple[str, str]]:
        """The id and the node of every instance, by its name."""

    def hand_over(self, stream: str, /) -> Future[None]:
        """The instance is not touched here any more: let go of it."""

    def exchange(self, going: str, staying: str, /) -> None:
        """Of two that this node has: have the second one go where the first one was to go, which stays. Waits for nobody.

        Nothing changes where that is not so any more.
        """

    def close(self) -> None:
        """Hear of nothing more. Idempotent."""


class Alone:
    """The one manager of a data directory."""

    node = ""
    machine = WHOEVER

    def __init__(self) -> None:
        self.life = str(uuid4())

    def leased_until(self) -> float:
        return math.inf

    def announce(self, url: str, hear: Hear, /) -> None:
        pass

    def leave(self) -> None:
        pass

    def can_part(self) -> bool:
        return False

    def secret(self) -> bytes:
        raise NotImplementedError("there is nobody to share it with")

    def nodes(self) -> list[Seen]:
        return []

    def machines(self) -> dict[str, str | None]:
        return {}

    def former_names(self) -> list[str]:
        return []

    def succeed(self, names: Collection[str], /) -> None:
        pass

    def is_living(self, life: str, /) -> bool:
        return False

    def fix(self, streams: Collection[str], /) -> None:
        pass

    def reserve(self, stream: str, name: str, /) -> bool:
        return True

    def forget(self, stream: str, /) -> None:
        pass

    def has(self, stream: str, /) -> bool:
        return True

    def mine(self) -> Callable[[str], bool]:
        return lambda stream: True

    def seat(self, name: str, /) -> Seat | None:
        return None

    def seats(self) -> dict[str, tuple[str, str]]:
        return {}

    def hand_over(self, stream: str, /) -> Future[None]:
        raise NotImplementedError("nobody is there to take it")

    def exchange(self, going: str, staying: str, /) -> None:
        raise NotImplementedError("nobody is there to take it")

    def close(self) -> None:
        pass
