"""Messages given up, kept until someone deletes them or tries them again."""

import itertools
from dataclasses import dataclass
from typing import Any

from prebooking_local.qstash.message import Attempt, Message
from prebooking_local.qstash.refusal import RefusedError
from prebooking_local.qstash.views import message_view, response_view


@dataclass(frozen=True)
class DeadLetter:
    id: str
    message: Message
    last: Attempt

    def view(self) -> dict[str, Any]:
        return message_view(self.message) | response_view(self.last) | {"dlqId": self.id}


class DeadLetters:
    def __init__(self) -> None:
        self._numbers = itertools.count()
        self._letters: dict[str, DeadLetter] = {}

    def add(self, message: Message, last: Attempt, now: float) -> str:
        letter_id = f"{round(now * 1000)}-{next(self._numbers)}"
        self._letters[letter_id] = DeadLetter(letter_id, message, last)
        return letter_id

    def get(self, letter_id: str) -> DeadLetter:
        try:
            return self._letters[letter_id]
        except KeyError:
            raise RefusedError(404, f"dlq message {letter_id} not found") from None

    def remove(self, letter_id: str) -> DeadLetter:
        letter = self.get(letter_id)
        del self._letters[letter_id]
        return letter

    def newest_first(self) -> list[DeadLetter]:
        return list(reversed(self._letters.values()))
