"""Every world that can come about, breadth first, so that the first story of a violation is the shortest."""

import gc
from collections.abc import Mapping
from dataclasses import dataclass

from tests.reliability.model.invariants import LIVENESS, OF_STEPS, OF_WORLDS, OfSteps, OfWorlds
from tests.reliability.model.names import Names
from tests.reliability.model.surroundings import steps
from tests.reliability.model.world import Model, World


@dataclass(frozen=True)
class Violation:
    invariant: str
    story: list[str]

    def __str__(self) -> str:
        return "\n".join([f"{self.invariant} is violated:", *(f"{n:4}. {w}" for n, w in enumerate(self.story, 1))])


class Exploration:
    def __init__(self, model: Model) -> None:
        self.model = model
        self.names = Names(alike=model.bounds.alike)
        self.worlds: list[World] = []
        self.transitions = 0
        self.violation: Violation | None = None
        self._number: dict[World, int] = {}
        self._parent: list[int] = []
        self._fairly_from: list[list[int]] = []

    def story(self, number: int) -> list[str]:
        """How it came to this world, in words."""
        words: list[str] = []
        while number:
            parent, world = self._parent[number], self.worlds[number]
            words.append(
                next(s.words for s in steps(self.model, self.worlds[parent]) if self.names.canonical(s.world) == world)
            )
            number = parent
        return words[::-1]

    def explore(self, of_worlds: Mapping[str, OfWorlds], of_steps: Mapping[str, OfSteps]) -> None:
        self._come_to(self.model.start(), 0)
        for number, world in enumerate(self.worlds):  # which grows
            for step in steps(self.model, world):
                self.transitions += 1
                for invariant, holds in of_steps.items():
                    if not holds(world, step):
                        self.violation = Violation(invariant, [*self.story(number), step.words])
                        return
                after = self.names.canonical(step.world)
                known = self._number.get(after)
                if known is None:
                    known = self._come_to(after, number)
                    for invariant, is_well in of_worlds.items():
                        if not is_well(after):
                            self.violation = Violation(invariant, self.story(known))
                            return
                if step.fair:
                    self._fairly_from[known].append(number)

    def look_for_the_stuck(self, invariant: str, of: OfWorlds, goal: OfWorlds) -> None:
        """Backwards over the fair steps, from where it should lead; what is not met has no way on."""
        ways = [number for number, world in enumerate(self.worlds) if goal(world)]
        met = bytearray(len(self.worlds))
        for number in ways:
            met[number] = 1
        while ways:
            for before in self._fairly_from[ways.pop()]:
                if not met[before]:
                    met[before] = 1
                    ways.append(before)
        for number, world in enumerate(self.worlds):
            if not met[number] and of(world):
                self.violation = Violation(invariant, self.story(number))
                return

    def _come_to(self, world: World, parent: int) -> int:
        number = self._number[world] = len(self.worlds)
        self.worlds.append(world)
        self._parent.append(parent)
        self._fairly_from.append([])
        return number


def explore(model: Model, *invariants: str) -> Exploration:
    """All invariants, or those named; ends at the first that is violated."""
    wanted = invariants or (*OF_WORLDS, *OF_STEPS, *LIVENESS)
    found = Exploration(model)
    gc.disable()  # there is no cycle in it, and to look for one takes a good part of the time
    try:
        found.explore(
            {i: OF_WORLDS[i] for i in wanted if i in OF_WORLDS}, {i: OF_STEPS[i] for i in wanted if i in OF_STEPS}
        )
        for invariant in wanted:
            if invariant in LIVENESS and found.violation is None:
                found.look_for_the_stuck(invariant, *LIVENESS[invariant])
    finally:
        gc.enable()
    return found
