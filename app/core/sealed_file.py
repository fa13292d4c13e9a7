"""A large file that is encrypted as it is written and read: AES-256-GCM in frames, so that no size has to fit in memory.

    8 bytes magic | 4 bytes length | header (JSON, readable by anybody) | frames
    frame: 4 bytes length | 1 byte 1 for the last, else 0 | ciphertext with its tag

Each file has a key of its own, derived (HKDF-SHA256) from the key the header names and the header's salt, so the frame's
number can be its nonce. The last-mark is part of the nonce and the header's hash is additional data of every frame: frames
cannot be changed, dropped, exchanged or cut off at the end, nor the header altered, without being noticed.
"""

import base64
import hashlib
import json
import os
import struct
from collections.abc import Iterator, Mapping
from typing import IO, Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

MAGIC = b"LVLSEAL1"
FRAME = 1024 * 1024
LONGEST_HEADER = 64 * 1024
_TAG = 16
_INFO = b"levelhead sealed file"


class SealedFileError(Exception):
    """The file cannot be read; the text is a sentence for people."""


def _cipher(key: bytes, salt: bytes) -> AESGCM:
    return AESGCM(HKDF(algorithm=SHA256(), length=32, salt=salt, info=_INFO).derive(key))


def _nonce(number: int, last: bool) -> bytes:
    return number.to_bytes(11, "big") + bytes([last])


class SealedWriter:
    """Gathers what is written into frames. Without finish() the file counts as cut off."""

    def __init__(self, file: IO[bytes], key_id: str, key: bytes, header: Mapping[str, Any]) -> None:
        salt = os.urandom(32)
        written = json.dumps(
            {**header, "key": key_id, "salt": base64.b64encode(salt).decode()}, sort_keys=True
        ).encode()
        begin = MAGIC + struct.pack(">I", len(written)) + written
        file.write(begin)
        self._file = file
        self._cipher = _cipher(key, salt)
        self._bound = hashlib.sha256(begin).digest()
        self._number = 0
        self._waiting = bytearray()
        self.size = len(begin)

    def write(self, content: bytes) -> None:
        self._waiting += content
        while len(self._waiting) > FRAME:
            self._write_frame(bytes(self._waiting[:FRAME]), last=False)
            del self._waiting[:FRAME]

    def finish(self) -> None:
        self._write_frame(bytes(self._waiting), last=True)
        self._waiting.clear()

    def _write_frame(self, content: bytes, last: bool) -> None:
        sealed = self._cipher.encrypt(_nonce(self._number, last), content, self._bound)
        self._file.write(struct.pack(">I?", len(sealed), last))
        self._file.write(sealed)
        self._number += 1
        self.size += 5 + len(sealed)


class SealedReader:
    """Gives the content back in order. The header is believed only once a frame has opened."""

    def __init__(self, file: IO[bytes]) -> None:
        """Reads the header. Raises SealedFileError when the file is of another kind."""
        self._file = file
        begin = file.read(len(MAGIC) + 4)
        if begin[: len(MAGIC)] != MAGIC or len(begin) < len(MAGIC) + 4:
            raise SealedFileError("This is not a backup of Levelhead, or its beginning is damaged.")
        size = struct.unpack(">I", begin[len(MAGIC) :])[0]
        written = file.read(size) if size <= LONGEST_HEADER else b""
        try:
            self.header: dict[str, Any] = json.loads(written)
            self._salt = base64.b64decode(self.header["salt"])
            self.key_id = str(self.header["key"])
        except (ValueError, KeyError, TypeError) as error:
            raise SealedFileError("The beginning of the file is damaged.") from error
        self._bound = hashlib.sha256(begin + written).digest()

    def frames(self, keys: Mapping[str, bytes]) -> Iterator[bytes]:
        """The content, frame by frame. Raises SealedFileError; what came before the raise was genuine."""
        if self.key_id not in keys:
            known = ", ".join(keys)
            raise SealedFileError(
                f"The file is sealed with key {self.key_id}, which is not in ENCRYPTION_KEYS (there: {known}). "
                "Add that key at the end of ENCRYPTION_KEYS."
            )
        cipher = _cipher(keys[self.key_id], self._salt)
        number, last = 0, False
        while not last:
            begin = self._file.read(5)
            if len(begin) < 5:
                raise SealedFileError("The file is cut off: its end is missing.")
            size, last = struct.unpack(">I?", begin)
            sealed = self._file.read(size) if size <= FRAME + _TAG else b""
            if len(sealed) < size <= FRAME + _TAG:
                raise SealedFileError("The file is cut off: its end is missing.")
            try:
                content = cipher.decrypt(_nonce(number, last), sealed, self._bound)
            except InvalidTag as error:
                raise SealedFileError(self._why(number)) from error
            number += 1
            yield content
        if self._file.read(1):
            raise SealedFileError("The file is damaged: something follows after its end.")

    def _why(self, number: int) -> str:
        if number:
            return f"The file is damaged at about {number:,} MB."
        return f"The file does not open: key {self.key_id} is not the one it was sealed with, or its beginning is damaged."
