"""What stands inside a backup, in this order: the dump of the database, the media files, the count of both.

D blocks                       pg_dump's custom format
F length, name, blocks         a file of the media folder, by its path in there
E JSON                         {files, bytes}: the end, so that a backup that stopped early is noticed
blocks: 4 bytes length and that many bytes, ended by a length of 0
"""

import json
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from app.core.sealed_file import SealedFileError

BLOCK = 1024 * 1024
DATABASE, FILE, END = b"D", b"F", b"E"
Write = Callable[[bytes], None]


@dataclass
class Totals:
    files: int = 0
    file_bytes: int = 0
    database_bytes: int = 0

    def as_json(self) -> bytes:
        return json.dumps(vars(self)).encode()


def write_blocks(write: Write, blocks: Iterator[bytes]) -> int:
    total = 0
    for block in blocks:
        if block:
            write(struct.pack(">I", len(block)))
            write(block)
            total += len(block)
    write(struct.pack(">I", 0))
    return total


def write_name(write: Write, name: str) -> None:
    encoded = name.encode("utf-8", "surrogateescape")
    write(FILE + struct.pack(">H", len(encoded)) + encoded)


def write_end(write: Write, totals: Totals) -> None:
    content = totals.as_json()
    write(END + struct.pack(">I", len(content)) + content)


class _Stream:
    """Reads exact numbers of bytes from frames of any size."""

    def __init__(self, frames: Iterator[bytes]) -> None:
        self._frames = frames
        self._rest = b""

    def take(self, count: int) -> bytes:
        parts = []
        while count:
            if not self._rest:
                self._rest = next(self._frames, b"")
                if not self._rest:
                    raise SealedFileError("The backup ends too early.")
            parts.append(self._rest[:count])
            self._rest = self._rest[count:]
            count -= len(parts[-1])
        return b"".join(parts)

    def drain(self) -> bool:
        """Reads to the end, which makes the frames check theirs; whether anything was left."""
        return bool(self._rest) | any([bool(frame) for frame in self._frames])


@dataclass(frozen=True)
class Record:
    """A part of the backup; `blocks` must be read to the end before the next part."""

    name: str
    blocks: Iterator[bytes]

    @property
    def is_database(self) -> bool:
        return not self.name


def read_records(frames: Iterator[bytes]) -> Iterator[Record]:
    """The parts in their order; ends when the count at the end agrees. Raises SealedFileError."""
    stream, seen = _Stream(frames), Totals()
    while (kind := stream.take(1)) != END:
        if kind == DATABASE:
            name = ""
        elif kind == FILE:
            name = stream.take(struct.unpack(">H", stream.take(2))[0]).decode("utf-8", "surrogateescape")
            seen.files += 1
        else:
            raise SealedFileError("The backup is of a newer kind than this version of Levelhead can read.")
        yield Record(name, _read_blocks(stream, seen, bool(name)))
    told = stream.take(struct.unpack(">I", stream.take(4))[0])
    if stream.drain() or json.loads(told) != vars(seen):
        raise SealedFileError("The backup is not whole: its parts do not add up.")


def _read_blocks(stream: _Stream, seen: Totals, is_file: bool) -> Iterator[bytes]:
    while size := struct.unpack(">I", stream.take(4))[0]:
        if is_file:
            seen.file_bytes += size
        else:
            seen.database_bytes += size
        yield stream.take(size)
