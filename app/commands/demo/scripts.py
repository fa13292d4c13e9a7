"""Reads the demo's conversations from threads/<account>.txt.

@ First Last | 24d 10:12 | tag, tag | flags     a contact and when it began: days ago and wall time, or 0d -52m
> words                                         the contact writes; ">tap.png words" with a picture
< words                                         we write; "<failed 30003 words" with the carrier's refusal
! words                                         a comment among colleagues
~ 5d 09:30 words                                a text scheduled for then
* closed                                        what happened to the conversation
+14m, +3h, +1d 13:05                            how long nothing happened; else some minutes
= words, = > words, = < words                   the reminder that the people marked & got, and its sequel
& First Last | tags                             a contact who got the reminder
"""

import re
from dataclasses import dataclass, field
from pathlib import Path

FOLDER = Path(__file__).parent / "threads"


@dataclass(frozen=True)
class Line:
    """`kind` is in, out, comment, scheduled, closed or pause; `extra` the picture, the code or the time."""

    kind: str
    text: str = ""
    extra: str = ""


@dataclass
class Script:
    name: str
    begins: str
    tags: list[str]
    flags: set[str]
    facts: dict[str, str]
    lines: list[Line] = field(default_factory=list)


@dataclass
class Play:
    threads: list[Script]
    reminder: list[Line]
    reminded: list[Script]


def read(slug: str) -> Play:
    play = Play([], [], [])
    for line in (FOLDER / f"{slug}.txt").read_text().splitlines():
        mark, rest = line[:1], line[1:].strip()
        if mark == "@":
            play.threads.append(_head(rest))
        elif mark == "&":
            name, _, tags = rest.partition("|")
            play.reminded.append(Script(name.strip(), "", _words(tags), set(), {}))
        elif mark == "=":
            play.reminder.append(_line(rest) if rest[:1] in "<>" else Line("out", rest))
        elif mark:
            play.threads[-1].lines.append(_line(line))
    return play


def _head(text: str) -> Script:
    name, begins, tags, flags = (part.strip() for part in text.split("|"))
    facts = {
        found[1]: found[2].strip()
        for found in re.finditer(r"(note|email|company)=(.*?)(?=\s+(?:note|email|company)=|$)", flags)
    }
    plain = re.split(r"\s*(?:note|email|company)=", flags)[0]
    return Script(name, begins, _words(tags), set(plain.split()), facts)


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _line(line: str) -> Line:
    mark, rest = line[0], line[1:]
    if mark == "+":
        return Line("pause", extra=rest.strip())
    if mark == "*":
        return Line(rest.strip())
    if mark == "!":
        return Line("comment", rest.strip())
    if mark == "~":
        days, clock, text = rest.strip().split(" ", 2)
        return Line("scheduled", text, f"{days} {clock}")
    if mark == "<":
        refused = re.match(r"failed (\d+) (.*)", rest)
        return Line("out", refused[2], refused[1]) if refused else Line("out", rest.strip())
    picture = re.match(r"(\w+\.png) ?(.*)", rest)
    return Line("in", picture[2], picture[1]) if picture else Line("in", rest.strip())
