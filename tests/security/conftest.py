"""The desk of the engine's tests: a connected account with one customer."""

from tests.engine.conftest import desk

__all__ = ["desk"]
