"""Encrypts session secrets at rest: AES-256-GCM, several keys, each value bound to its user and its field.

A sealed value is an encrypted one: `enc:v1:<key id>:<base64url of nonce and ciphertext>`. It can't be decrypted if it
was copied from another user's row, or from another field. The key id is a fingerprint that reveals nothing of the key.
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
    """A sealed value can't be decrypted. The text says why, without the value."""


class SessionVault:
    """Encrypts with the first key, and decrypts with all of them. Keys have 32 bytes.

    Without keys, values stay as they are. Unless `sealing`, values are not encrypted, but those of other replicas are
    decrypted. `sealed_only`: plain values are refused, since only an attacker would still store them.
    """

    def __init__(self, keys: Sequence[bytes] = (), *, sealing: bool = True, sealed_only: bool = False) -> None:
        self._sealed_only = sealed_only
        self._ciphers = {_key_id(key): AESGCM(key) for key in keys}
        self.key_id = _key_id(keys[0]) if keys and sealing else None

    @property
    def key_ids(self) -> frozenset[str]:
        """The ids of its keys."""
        return frozenset(self._ciphers)

    def seal(self, plain: str, user_email: str, field: str) -> str:
        if self.key_id is None:
            return plain
        nonce = secrets.token_bytes(_NONCE_BYTES)
        sealed = self._ciphers[self.key_id].encrypt(nonce, plain.encode(), _bound_to(user_email, field))
        return f"enc:v1:{self.key_id}:{base64.urlsafe_b64encode(nonce + sealed).decode()}"

    def open(self, stored: str, user_email: str, field: str) -> str:
        """Returns the decrypted value; a plain one unchanged, unless `sealed_only`. Raises UnreadableError."""
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
        """Raises UnreadableError if plain values are refused."""
        if self._sealed_only:
            raise UnreadableError(f"its {field} is not encrypted, and SESSION_ENCRYPTION_KEYS lets no plain one count")


def is_sealed(stored: str) -> bool:
    return stored.startswith(_PREFIX)


def _key_id(key: bytes) -> str:
    return hashlib.sha256(b"prebooking session key " + key).hexdigest()[:8]


def _bound_to(user_email: str, field: str) -> bytes:
    return f"{user_email.lower()}\0{field}".encode()
