"""DNS messages, as far as a name server needs them that answers one question at a time (RFC 1035)."""

import struct
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

A, AAAA = 1, 28
NO_ERROR, SERVFAIL, NXDOMAIN = 0, 2, 3
_HEADER = struct.Struct(">HHHHHH")
_QUESTION = struct.Struct(">HH")
_RECORD = struct.Struct(">HHHIH")
_RESPONSE, _AUTHORITATIVE, _RECURSION_DESIRED, _RECURSION_AVAILABLE = 0x8000, 0x0400, 0x0100, 0x0080
_NAME_OF_THE_QUESTION = 0xC000 | _HEADER.size  # a pointer
_INTERNET = 1


@dataclass(frozen=True, slots=True)
class Question:
    number: int
    flags: int
    name: str  #: lower-cased
    kind: int
    raw: bytes


def read(message: bytes) -> Question:
    """Returns the question. Raises ValueError for anything else."""
    try:
        number, flags, questions, *_ = _HEADER.unpack_from(message)
        labels, at = [], _HEADER.size
        while message[at]:
            labels.append(message[at + 1 : at + 1 + message[at]].decode("ascii"))
            at += 1 + message[at]
        kind, _ = _QUESTION.unpack_from(message, at + 1)
    except (struct.error, IndexError, UnicodeDecodeError) as exc:
        raise ValueError("not a DNS message") from exc
    if flags & _RESPONSE or questions != 1:
        raise ValueError("not one question")
    return Question(number, flags, ".".join(labels).lower(), kind, message[_HEADER.size : at + 1 + _QUESTION.size])


def answer(question: Question, code: int, addresses: list[IPv4Address | IPv6Address], ttl_s: int) -> bytes:
    """Returns the answer, with those of the addresses that are of the kind asked for."""
    version = {A: 4, AAAA: 6}.get(question.kind)
    records = [
        _RECORD.pack(_NAME_OF_THE_QUESTION, question.kind, _INTERNET, ttl_s, len(address.packed)) + address.packed
        for address in addresses
        if address.version == version
    ]
    flags = _RESPONSE | _AUTHORITATIVE | _RECURSION_AVAILABLE | (question.flags & _RECURSION_DESIRED) | code
    return _HEADER.pack(question.number, flags, 1, len(records), 0, 0) + question.raw + b"".join(records)
