"""The media folder's side: every file in a backup, and putting a backup's files into the place of those that are there.

New files are gathered in a folder inside the media folder (it may be a mounted disk, so renaming has to stay within) and
exchanged at the end in two moves; until then, and when anything fails, the old ones are what is there.
"""

import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

from app.commands.backups.contents import BLOCK
from app.core.sealed_file import SealedFileError

GATHERED, ARRIVING, REPLACED = ".levelhead-restoring", ".levelhead-arriving", ".levelhead-replaced"
OURS = (GATHERED, ARRIVING, REPLACED)


def files(folder: Path) -> Iterator[str]:
    """Paths in the folder; links are not followed."""
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if name not in OURS)
        for name in sorted(names):
            path = Path(place) / name
            if path.is_file() and not path.is_symlink():
                yield path.relative_to(folder).as_posix()


def blocks(file: IO[bytes]) -> Iterator[bytes]:
    while block := file.read(BLOCK):
        yield block


class Exchange:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._gathered = folder / GATHERED
        self._arriving = folder / ARRIVING
        self._replaced = folder / REPLACED

    def is_empty(self) -> bool:
        return next(files(self._folder), None) is None

    def begin(self) -> None:
        """Raises OSError."""
        self._gathered.mkdir(parents=True)

    def gather(self, name: str, blocks: Iterable[bytes]) -> None:
        """Raises SealedFileError for a name that leads out of the folder."""
        path = (self._gathered / name).resolve()
        if not path.is_relative_to(self._gathered.resolve()):
            raise SealedFileError("The backup names a file outside the media folder.")
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("xb") as file:
            for block in blocks:
                file.write(block)
            file.flush()
            os.fsync(file.fileno())

    def exchange(self) -> None:
        self._replaced.mkdir(exist_ok=True)
        self._move(self._folder, self._replaced)
        # From this name on, what lies in the folder is new.
        self._gathered.rename(self._arriving)
        self._arrive()

    def _arrive(self) -> None:
        self._move(self._arriving, self._folder)
        self._arriving.rmdir()

    def put_back(self) -> None:
        """Undoes what was done so far."""
        if self._replaced.exists():
            if not self._gathered.exists():
                for path in self._entries(self._folder):
                    _remove(path)
            self._move(self._replaced, self._folder)
            self._replaced.rmdir()
        _remove(self._gathered)
        _remove(self._arriving)

    def recover(self) -> None:
        """After a restore that was killed: files are exchanged last, so one that had begun is brought to its end."""
        if self._arriving.exists():
            self._arrive()
        elif self._replaced.exists() and self._gathered.exists():
            self.exchange()
        _remove(self._gathered)
        _remove(self._replaced)

    def forget_replaced(self) -> None:
        _remove(self._replaced)

    def _entries(self, folder: Path) -> list[Path]:
        return [path for path in folder.iterdir() if path.name not in OURS]

    def _move(self, source: Path, target: Path) -> None:
        for path in self._entries(source):
            path.rename(target / path.name)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
