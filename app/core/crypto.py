"""Secrets at rest: AES-256-GCM, bound to the place they were written for.

A sealed value is `len(key id) | key id | 12-byte nonce | ciphertext`. The additional data is `table|row id|field`, so a
value copied to another row does not open. Old keys stay readable; the first key in the setting seals.
"""

import os
import struct

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM


class SealBroken(Exception):
    """The value cannot be opened: unknown key, changed bytes, or written for another row."""


class Vault:
    def __init__(self, keys: tuple[tuple[str, bytes], ...]) -> None:
        if not keys:
            raise ValueError("at least one encryption key is needed")
        self._current = keys[0][0]
        self._ciphers = {key_id: AESGCM(key) for key_id, key in keys}

    @property
    def current_key(self) -> str:
        """The id of the key that seals."""
        return self._current

    @property
    def mark(self) -> bytes:
        """How every value begins that the current key has sealed."""
        key_id = self._current.encode()
        return struct.pack("B", len(key_id)) + key_id

    def seal(self, value: bytes, place: str) -> bytes:
        nonce = os.urandom(12)
        return self.mark + nonce + self._ciphers[self._current].encrypt(nonce, value, place.encode())

    def open(self, sealed: bytes, place: str) -> bytes:
        """Raises SealBroken."""
        size = sealed[0] if sealed else 0
        key_id = sealed[1 : 1 + size].decode("ascii", "replace")
        cipher = self._ciphers.get(key_id)
        if cipher is None:
            raise SealBroken(f"no key {key_id!r}")
        rest = sealed[1 + size :]
        try:
            return cipher.decrypt(rest[:12], rest[12:], place.encode())
        except InvalidTag as error:
            raise SealBroken(place.split("|")[0]) from error

    def seal_text(self, value: str, place: str) -> bytes:
        return self.seal(value.encode(), place)

    def open_text(self, sealed: bytes, place: str) -> str:
        return self.open(sealed, place).decode()


def place(table: str, row_id: object, field: str) -> str:
    """Where a sealed value lives; passed to seal and open."""
    return f"{table}|{row_id}|{field}"
