"""Encrypts session secrets at rest: AES-256-GCM, several keys, each value bound to its user and its field.

A sealed value is `enc:v1:<key id>:<base64url of nonce and ciphertext>`. Bound: taken from another user's row, or from
the row's other field, it can't be opened. The key id is a fingerprint of the key and tells nothing about it.
"""

import base64
import binascii
import hashlib
import re
import secrets
from collections.abc import Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_NONCE_BYTES = 12
_PREFIX = "enc:"
_SEALED = re.compile(r"enc:v1:([0-9a-f]{8}):([A-Za-z0-9_-]+={0,2})")


class UnreadableError(Exception):
    """A sealed value can't be opened. The text says why, without the value."""


class SessionVault:
    """The first key seals, all open. Keys are 32 bytes each.

    Without keys values stay as they are; not `sealing` too, but what others have sealed is opened. `sealed_only`: what
    is not sealed is not opened either, since nobody honest stores it any more.
    """

    def __init__(self, keys: Sequence[bytes] = (), *, sealing: bool = True, sealed_only: bool = False) -> None:
        self._sealed_only = sealed_only
        self._ciphers = {_key_id(key): AESGCM(key) for key in keys}
        self.key_id = _key_id(keys[0]) if keys and sealing else None

    @property
    def key_ids(self) -> frozenset[str]:
        """Of the keys that it has."""
        return frozenset(self._ciphers)

    def seal(self, plain: str, user_email: str, field: str) -> str:
        if self.key_id is None:
            return plain
        nonce = secrets.token_bytes(_NONCE_BYTES)
        sealed = self._ciphers[self.key_id].encrypt(nonce, plain.encode(), _bound_to(user_email, field))
        return f"enc:v1:{self.key_id}:{base64.urlsafe_b64encode(nonce + sealed).decode()}"

    def open(self, stored: str, user_email: str, field: str) -> str:
        """The plain value; one that was never sealed as it is, unless `sealed_only`. Raises UnreadableError."""
        if not is_sealed(stored):
            self.refuse_plain(field)
            return stored
        found = _SEALED.fullmatch(stored)
        if found is None:
            raise UnreadableError(f"its {field} is encrypted in a way that this version doesn't know")
        key_id = found[1]
        cipher = self._ciphers.get(key_id)
        if cipher is None:
            raise UnreadableError(f"its {field} is encrypted under key {key_id}, which SESSION_ENCRYPTION_KEYS lacks")
        try:
            sealed = base64.urlsafe_b64decode(found[2])
            return cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], _bound_to(user_email, field)).decode()
        except (InvalidTag, ValueError, binascii.Error) as exc:
            raise UnreadableError(f"its {field} was changed, or sealed for another user or field") from exc

    def refuse_plain(self, field: str) -> None:
        """Raises UnreadableError where what is not sealed counts for nothing."""
        if self._sealed_only:
            raise UnreadableError(f"its {field} is not encrypted, and SESSION_ENCRYPTION_KEYS lets no plain one count")


def is_sealed(stored: str) -> bool:
    return stored.startswith(_PREFIX)


def _key_id(key: bytes) -> str:
    return hashlib.sha256(b"prebooking session key " + key).hexdigest()[:8]


def _bound_to(user_email: str, field: str) -> bytes:
    return f"{user_email.lower()}\0{field}".encode()
