"""How far it is: one line that is written over on a terminal, a line now and then elsewhere."""

import sys
import time

import click


class Progress:
    def __init__(self) -> None:
        self._said = time.monotonic()
        self._on_terminal = sys.stderr.isatty()
        self._open = False

    def step(self, text: str) -> None:
        """A new part of the work; stays."""
        self._close()
        click.echo(text, err=True)
        self._said = time.monotonic()

    def now(self, text: str) -> None:
        """Where the part is; may be called as often as one likes."""
        if time.monotonic() - self._said < (0.3 if self._on_terminal else 10):
            return
        self._said = time.monotonic()
        if self._on_terminal:
            click.echo(f"\r\033[K  {text}", nl=False, err=True)
            self._open = True
        else:
            click.echo(f"  {text}", err=True)

    def _close(self) -> None:
        if self._open:
            click.echo("\r\033[K", nl=False, err=True)
            self._open = False


def size(count: int) -> str:
    """Bytes for people: 3.4 MB."""
    value, units = float(count), ["bytes", "kB", "MB", "GB", "TB"]
    while value >= 1000 and len(units) > 1:
        value, units = value / 1000, units[1:]
    return f"{count:,} bytes" if units[0] == "bytes" else f"{value:,.1f} {units[0]}"


def count(number: int, noun: str) -> str:
    """1 media file, 2 media files."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")
