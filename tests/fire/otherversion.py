"""A copy of the code as the next version might be: a job more, a job with one more word, and another way to speak of itself.

What a rolling deploy mixes: jobs that one version knows and the other does not, and the same job with other words.
"""

import shutil
from pathlib import Path

ROOT = Path(__file__).parents[2]
PARTS = ("app", "workers", "migrations", "templates", "static", "pyproject.toml")
NEW_JOB = "workers.tomorrow.wave"
MARK = "tomorrow.txt"

_WAVE = f'''"""A job of the next version."""

from app.core import runtime


def wave() -> None:
    with (runtime.current().settings.data_dir / "{MARK}").open("a") as file:
        file.write("wave\\n")
'''


def make(folder: Path) -> Path:
    """The copy; its workers are started with it as their place and on their path."""
    for part in PARTS:
        source = ROOT / part
        if source.is_dir():
            shutil.copytree(source, folder / part, ignore=shutil.ignore_patterns("__pycache__", "vendor"))
        else:
            shutil.copy(source, folder / part)
    (folder / "workers" / "tomorrow.py").write_text(_WAVE)
    _edit(
        folder / "app/core/jobs.py",
        "JOBS = (",
        f'WAVE = Job("chores", "{NEW_JOB}")\n\nJOBS = (WAVE, ',
    )
    _edit(
        folder / "workers/sends.py", "def drain(sender_id: str)", 'def drain(sender_id: str, wish: str = "")'
    )
    _edit(folder / "workers/boot.py", "LOADED = (", "from workers import tomorrow\n\nLOADED = (tomorrow, ")
    return folder


def _edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert text.count(old) == 1, f"{path} has changed: {old!r}"
    path.write_text(text.replace(old, new))
