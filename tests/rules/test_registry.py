"""A provider is in the registry only with everything that makes it trustworthy: description, real payloads, a played
double, and tests of what must be refused."""

from pathlib import Path

import pytest

from app.integrations.registry import INTEGRATIONS

ROOT = Path(__file__).parents[2]
REFUSING = ("wrong", "refuse", "tamper", "huge", "nonsense", "forged", "foreign", "repeat")


@pytest.mark.parametrize("key", [integration.key for integration in INTEGRATIONS])
def test_an_integration_is_complete(key: str) -> None:
    folder, tests = ROOT / "app" / "integrations" / key, ROOT / "tests" / "integrations" / key
    assert (folder / "README.md").is_file(), f"{key}: README.md says what it does and how to connect it"
    assert (folder / "signature.py").is_file(), f"{key}: signature.py"
    assert (folder / "client.py").is_file(), f"{key}: client.py"
    assert any(tests.glob("fixtures/*")) or any(folder.glob("fixtures/*")), (
        f"{key}: fixtures of real payloads"
    )
    names = "\n".join(path.read_text() for path in tests.glob("test_*.py"))
    assert names, f"{key}: tests"
    assert any(word in names.lower() for word in REFUSING), f"{key}: tests of what must be refused"
    played = ROOT / "app" / "sandbox" / key
    assert played.is_dir() or played.with_suffix(".py").is_file() or (folder / "sandbox.py").is_file(), (
        f"{key}: a module of the simulator"
    )


def test_integrations_do_not_know_each_other() -> None:
    for integration in INTEGRATIONS:
        for other in INTEGRATIONS:
            if other.key != integration.key:
                for path in (ROOT / "app" / "integrations" / integration.key).rglob("*.py"):
                    assert f"app.integrations.{other.key}" not in path.read_text(), path
