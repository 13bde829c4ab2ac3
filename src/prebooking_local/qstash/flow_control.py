"""Flow control: of the messages of one key at most so many are delivered at once; the others wait in line."""

from collections import defaultdict, deque

from prebooking_local.qstash.message import Message, State


class FlowControl:
    def __init__(self) -> None:
        self._under_way: dict[str, set[str]] = defaultdict(set)
        self._waiting: dict[str, deque[Message]] = defaultdict(deque)

    def admits(self, message: Message) -> bool:
        """Returns whether the message may leave; else it waits, and `leaves` of another hands it out."""
        flow = message.order.flow
        if flow is None:
            return True
        under_way = self._under_way[flow.key]
        if message.id not in under_way and len(under_way) >= flow.parallelism:
            self._waiting[flow.key].append(message)
            return False
        under_way.add(message.id)
        return True

    def leaves(self, message: Message) -> Message | None:
        """Returns the next message of that key, which takes its place."""
        flow = message.order.flow
        if flow is None:
            return None
        self._under_way[flow.key].discard(message.id)
        waiting = self._waiting[flow.key]
        while waiting:
            following = waiting.popleft()
            if following.state is State.WAITING:
                self._under_way[flow.key].add(following.id)
                return following
        return None
