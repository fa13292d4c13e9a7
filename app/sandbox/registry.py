"""What a played provider gives to the simulator. `providers.py` lists those there are."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from flask import Flask

from app.sandbox.state import Simulator


@dataclass(frozen=True)
class Provider:
    key: str
    name: str
    # Paths that are calls to its API.
    prefixes: tuple[str, ...]
    # Registers its views and puts its memory into `Simulator.parts`.
    install: Callable[[Flask, Simulator], None]
    # Goes on after its memory was read back.
    resume: Callable[[Flask], None]
    # The JSON it answers with for an HTTP status, when a fault asks for one.
    refuse_with: Callable[[int], dict[str, Any]]
