"""Inputs from nothing, from the shapes of JSON, and from good samples with pieces cut out, doubled and replaced."""

import base64
import json

from hypothesis import strategies as st

_TOKENS = (
    *(
        b"\0",
        b"\xff",
        b"\xc3",
        b"\\u0000",
        b"\\ud800",
        b"null",
        b"true",
        b"NaN",
        b"Infinity",
        b"1e400",
        b"-1",
        b"{}",
        b"[]",
    ),
    *(
        b'"',
        b"'",
        b"\\",
        b",",
        b":",
        b"[",
        b"{",
        b"}",
        b"]",
        b".",
        b"..",
        b"=",
        b";",
        b"\r\n",
        b"[" * 2000,
        b"9" * 5000,
    ),
    *("ñ".encode(), "\u202e".encode(), "\u212a".encode(), b" " * 100, b"e30", b"A" * 100, b"99999999999999999999"),
)

_SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-20, 20)
    | st.floats()
    | st.text()
    | st.sampled_from(["", "\0", "\ud800", "-12", "1", "0", "x" * 1000, "<b>", 10**400, 2**31, 2**63])
)


def shaped(*names: str) -> st.SearchStrategy[bytes]:
    """JSON, often an object that has some of these names."""
    keys = st.sampled_from(names) | st.text(max_size=5)
    values = st.recursive(
        _SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=6), max_leaves=12
    )
    return (st.dictionaries(keys, values, max_size=10) | values).map(lambda value: json.dumps(value).encode())


@st.composite
def mutated(draw: st.DrawFn, *samples: bytes) -> bytes:
    data = bytearray(draw(st.sampled_from(samples)))
    for _ in range(draw(st.integers(0, 6))):
        at = draw(st.integers(0, len(data)))
        until = min(len(data), at + draw(st.integers(0, 8)))
        kept = bytes(data[at:until])
        data[at:until] = draw(st.sampled_from(_TOKENS) | st.binary(max_size=6) | st.just(kept + kept))
    return bytes(data)


def inputs(*samples: bytes, names: tuple[str, ...] = ()) -> st.SearchStrategy[bytes]:
    found = st.binary(max_size=200) | mutated(*samples)
    return found | shaped(*names) if names else found


def in_base64(found: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    return found.map(base64.urlsafe_b64encode)
