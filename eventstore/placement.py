"""Which node has which instance: worked out from who is there and who has what, by whoever looks next."""

from collections.abc import Collection, Sequence

import msgspec


class Placement(msgspec.Struct, frozen=True):
    """Whose an instance is. `wanted` is who shall have it, as soon as `node` has let go of it."""

    stream: str
    node: str
    wanted: str | None = None
    fixed: bool = False
    """Something that it needs is on the machine of its node: nobody else can go on with it."""

    @property
    def goal(self) -> str:
        """Whose it is going to be."""
        return self.wanted or self.node


def place(
    living: Collection[str], ready: Collection[str], placements: Sequence[Placement], leaving: Collection[str] = ()
) -> list[Placement]:
    """What has to change so that everything has an owner that lives, and loads are within 1 of each other.

    Whoever is `ready` may be given something, or have it taken; whoever only lives keeps what is theirs, and who is
    `leaving` (and not ready) has all of it taken. What the dead had is given away at once, what the living have when they
    hand it over. No move is made that could be left out.
    """
    goals: dict[str, list[Placement]] = {node: [] for node in sorted(ready)}
    homeless: list[Placement] = []
    settled: list[Placement] = []
    for each in sorted(placements, key=lambda each: each.stream):
        if each.node not in living and not each.fixed:
            homeless.append(each)
            continue
        keeps_going = each.wanted in ready and not each.fixed
        if each.node in leaving and not (keeps_going or each.fixed) and goals:
            homeless.append(each)
            continue
        kept = _towards(each, each.goal if keeps_going else each.node)
        settled.append(kept)
        if kept.goal in goals:
            goals[kept.goal].append(kept)
    if goals:
        for each in homeless:
            least = _emptiest(goals)
            settled.append(_towards(each, least) if each.node in living else Placement(each.stream, least))
            goals[least].append(settled[-1])
        settled += _evened(goals)
    former = {each.stream: each for each in placements}
    changed = {each.stream: each for each in settled}  # the last word on each
    return [each for each in changed.values() if each != former[each.stream]]


def _evened(goals: dict[str, list[Placement]]) -> list[Placement]:
    """Take from who has most and give to who has least, until nothing is gained by it."""
    moved: list[Placement] = []
    while True:
        least = _emptiest(goals)
        sources = [node for node, has in goals.items() if any(not each.fixed for each in has)]
        most = max(sources, key=lambda node: len(goals[node]), default=least)
        if len(goals[most]) - len(goals[least]) <= 1:
            return moved
        # One that is still where it shall be then need not move at all.
        taken = min((each for each in goals[most] if not each.fixed), key=lambda each: each.node != least)
        goals[most].remove(taken)
        moved.append(_towards(taken, least))
        goals[least].append(moved[-1])


def _emptiest(goals: dict[str, list[Placement]]) -> str:
    return min(goals, key=lambda node: len(goals[node]))


def _towards(placement: Placement, node: str) -> Placement:
    return msgspec.structs.replace(placement, wanted=None if node == placement.node else node)
