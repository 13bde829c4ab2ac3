"""Cuts the bytes of a connection into requests: Content-Length alone, strict, with capped sizes."""

from dataclasses import dataclass

MAX_HEAD = 16 * 1024
MAX_BODY = 4 * 1024 * 1024  # a thousand classes or members are put up in one request


@dataclass(slots=True)
class Frame:
    """One request as it came. `refusal` is the status it deserves if it can't be framed."""

    head: bytes
    body: bytes
    first_byte_ns: int
    last_byte_ns: int | None
    refusal: int | None = None


class _UnframableError(Exception):
    def __init__(self, status: int) -> None:
        self.status = status


def _body_length(head: bytes) -> int:
    fields = [line.partition(b":") for line in head.lower().split(b"\r\n")[1:]]
    if any(name == b"transfer-encoding" for name, _, _ in fields):
        raise _UnframableError(501)
    lengths = [value.strip() for name, _, value in fields if name == b"content-length"]
    if not lengths:
        return 0
    if len(lengths) > 1 or not lengths[0].isdigit():
        raise _UnframableError(400)
    if len(lengths[0]) > len(str(MAX_BODY)) or int(lengths[0]) > MAX_BODY:
        raise _UnframableError(413)
    return int(lengths[0])


class Framer:
    """Holds what has come of the next request, and when its first byte came."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._head_end = -1
        self._whole = 0
        self._first_byte_ns = 0
        self._broken = False

    def feed(self, data: memoryview, now_ns: int) -> list[Frame]:
        """Returns the requests that these bytes complete. After one that can't be framed nothing more is read."""
        if self._broken:
            return []
        if not self._buffer:
            self._first_byte_ns = now_ns
        self._buffer += data
        frames = []
        while self._buffer and (frame := self._cut(now_ns)):
            frames.append(frame)
            self._first_byte_ns = now_ns
        return frames

    def torn(self) -> Frame | None:
        """Returns what came of a request whose sender left before its end."""
        if not self._buffer:
            return None
        head, _, body = bytes(self._buffer).partition(b"\r\n\r\n")
        return Frame(head, body, self._first_byte_ns, None)

    def _cut(self, now_ns: int) -> Frame | None:
        try:
            if self._head_end < 0 and not self._measure():
                return None
        except _UnframableError as exc:
            self._broken = True
            head = bytes(self._buffer[:MAX_HEAD])
            self._buffer.clear()
            return Frame(head, b"", self._first_byte_ns, now_ns, exc.status)
        if len(self._buffer) < self._whole:
            return None
        head = bytes(self._buffer[: self._head_end])
        body = bytes(self._buffer[self._head_end + 4 : self._whole])
        del self._buffer[: self._whole]
        self._head_end = -1
        return Frame(head, body, self._first_byte_ns, now_ns)

    def _measure(self) -> bool:
        end = self._buffer.find(b"\r\n\r\n")
        if end > MAX_HEAD or (end < 0 and len(self._buffer) > MAX_HEAD):
            raise _UnframableError(431)
        if end < 0:
            return False
        self._whole = end + 4 + _body_length(bytes(self._buffer[:end]))
        self._head_end = end
        return True
