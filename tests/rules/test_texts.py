"""What is left lying in a tree of files: notes to oneself, paths of somebody's machine, words that say nothing."""

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
BINARY = {".png", ".jpg", ".webp", ".woff2", ".ico", ".gz"}
LEFT_BEHIND = {
    "a note to oneself": r"\b(?:TO" + r"DO|FIX" + r"ME|XX" + r"X)\b",
    "a place on somebody's machine": r"/(?:home|Users)/[a-z]+/|/wo" + r"rk/(?:main|shared)",
    "filler": r"lorem " + r"ipsum",
}
EMPTY_WORDS = (
    r"\b(?:seamless\w*|blazing\w*|world-class|cutting-edge|game-chang\w+|leverag\w+|effortless\w*)\b"
)


def tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    paths = [ROOT / line for line in listed.splitlines()]
    return [
        path
        for path in paths
        if path.is_file()
        and path.suffix not in BINARY
        and "vendor" not in path.parts
        and path.name != "uv.lock"
    ]


def test_nothing_is_left_behind() -> None:
    wrong = []
    for path in tracked():
        text = path.read_text(errors="replace")
        for what, pattern in LEFT_BEHIND.items():
            if path.name != Path(__file__).name and re.search(pattern, text):
                wrong.append(f"{path.relative_to(ROOT)}: {what}")
    assert not wrong


def test_texts_for_people_say_something() -> None:
    wrong = []
    for path in tracked():
        if path.suffix in (".md", ".html", ".txt"):
            found = re.search(EMPTY_WORDS, path.read_text(errors="replace"), re.IGNORECASE)
            if found:
                wrong.append(f"{path.relative_to(ROOT)}: {found[0]}")
    assert not wrong


def test_packages_hold_no_code() -> None:
    """Nothing happens at import of a package; its modules say what they need."""
    for folder in ("app", "workers"):
        for path in (ROOT / folder).rglob("__init__.py"):
            lines = [line for line in path.read_text().splitlines() if line.strip()]
            code = [line for line in lines if not line.startswith(("#", '"""'))]
            assert not code, path.relative_to(ROOT)
