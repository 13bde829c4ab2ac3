"""A process that real signals are sent to, for as long as it lives."""

import os
import signal
from abc import ABC, abstractmethod
from contextlib import suppress


class Signalled(ABC):
    @property
    @abstractmethod
    def pid(self) -> int: ...

    @property
    @abstractmethod
    def alive(self) -> bool: ...

    def kill(self) -> None:
        self._signal(signal.SIGKILL)

    def stop(self) -> None:
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def terminate(self) -> None:
        """A deploy: it is asked to leave."""
        self._signal(signal.SIGTERM)

    def _signal(self, number: int) -> None:
        with suppress(ProcessLookupError):  # it has ended in this very instant
            if self.alive:
                os.kill(self.pid, number)
