"""The whole product as `./run demo` starts it, in its own processes on free ports, and a real Chromium in front of it.

Every page is watched: an error on the console, a script that throws or a blocked resource (CSP) fails the journey.
"""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, expect, sync_playwright

ROOT = Path(__file__).parents[2]
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PASSWORD = "demo-levelhead"
READY_WITHIN = 120
# What a page may do on a machine where other tests run as well.
PATIENCE_MS = 10_000

expect.set_options(timeout=PATIENCE_MS)


def find_chromium() -> str:
    given = os.environ.get("CHROMIUM")
    return given or next(filter(None, map(shutil.which, NAMES)), "") or ""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    missing = pytest.mark.skip(reason="no Chromium on this machine: apt install chromium, or set CHROMIUM")
    for item in items:
        if Path(str(item.fspath)).parent == Path(__file__).parent:
            item.add_marker(pytest.mark.journey)
            if not find_chromium():
                item.add_marker(missing)


@dataclass(frozen=True)
class Stack:
    """Where the running demo is found."""

    url: str
    simulator: str


def _free_ports(count: int) -> list[int]:
    probes = [socket.socket() for _ in range(count)]
    for probe in probes:
        probe.bind(("127.0.0.1", 0))
    ports = [int(probe.getsockname()[1]) for probe in probes]
    for probe in probes:
        probe.close()
    return ports


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    with tempfile.TemporaryDirectory(prefix="lh-journey-", ignore_cleanup_errors=True) as folder:
        os.chmod(folder, 0o755)
        port, sim_port, smtp_port = _free_ports(3)
        kept = {name: value for name, value in os.environ.items() if not name.endswith("_URL")}
        env = kept | {
            "PORT": str(port),
            "SIM_PORT": str(sim_port),
            "SIM_SMTP_PORT": str(smtp_port),
            "DATA_DIR": f"{folder}/data",
        }
        log = Path(folder) / "stack.log"
        with log.open("wb") as out:
            process = subprocess.Popen(
                [sys.executable, "-m", "app.stack", "demo"], cwd=ROOT, env=env, stdout=out, stderr=out
            )
        try:
            _await_ready(process, log)
            yield Stack(f"http://127.0.0.1:{port}", f"http://127.0.0.1:{sim_port}")
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _await_ready(process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + READY_WITHIN
    while "ready:" not in log.read_text():
        if process.poll() is not None or time.monotonic() > deadline:
            pytest.fail(f"the stack did not start:\n{log.read_text()}")
        time.sleep(0.2)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(
            executable_path=find_chromium(), args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        )
        yield started
        started.close()


@dataclass
class Watch:
    """Collects what must not happen on a page."""

    complaints: list[str] = field(default_factory=list)

    def look_at(self, page: Page) -> None:
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.complaints.append(f"{page.url}: {error}"))

    def _console(self, message: ConsoleMessage) -> None:
        # Chromium writes every answer from 400 up as an error; 422 is a form with its errors in it, 409 one whose time was
        # taken meanwhile.
        # htmx writes two lines when a page is left while a poll is under way; a send that really failed has its own.
        harmless = ("htmx:sendAbort,", "htmx:afterRequest,")
        if message.type != "error" or message.text.startswith(harmless):
            return
        if "status of 422" not in message.text and "status of 409" not in message.text:
            self.complaints.append(f"{message.location.get('url', '')}: {message.text}")


@pytest.fixture(scope="session")
def sign_ins() -> dict[str, Any]:
    """The cookies of those who have signed in already, by name."""
    return {}


Open = Callable[..., Page]


@pytest.fixture
def open_browser(browser: Browser, stack: Stack, sign_ins: dict[str, Any]) -> Iterator[Open]:
    """open_browser("ana", width=390, scheme="dark"): a browser of their own, signed in; without a name, of nobody."""
    watch, contexts = Watch(), []

    def start(
        who: str = "",
        *,
        width: int = 1280,
        height: int = 860,
        scheme: str = "light",
        zone: str = "America/New_York",
        scripts: bool = True,
    ) -> Page:
        context = browser.new_context(
            base_url=stack.url,
            viewport={"width": width, "height": height},
            color_scheme=scheme,  # type: ignore[arg-type]
            has_touch=width < 500,
            reduced_motion="reduce",
            timezone_id=zone,
            java_script_enabled=scripts,
            storage_state=sign_ins.get(who),
        )
        contexts.append(context)
        context.set_default_timeout(PATIENCE_MS)
        page = context.new_page()
        watch.look_at(page)
        if who and who not in sign_ins:
            sign_in(page, who)
            sign_ins[who] = _state(context)
        return page

    yield start
    for context in contexts:
        context.close()
    assert not watch.complaints, "\n".join(watch.complaints)


def _state(context: BrowserContext) -> Any:
    return context.storage_state()


def sign_in(page: Page, who: str) -> None:
    page.goto("/sign-in")
    page.get_by_label("E-mail").fill(f"{who}@demo.test")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page).not_to_have_url(re.compile("/sign-in"))


@pytest.fixture
def phones(open_browser: Open, stack: Stack) -> "Phones":
    page = open_browser()
    page.goto(stack.simulator)
    return Phones(page)


@dataclass
class Phones:
    """The simulator's page, where the visitor is the customer."""

    page: Page

    def _phone(self, name: str) -> Any:
        phone = self.page.locator(".phone", has=self.page.get_by_role("heading", name=name))
        if phone.count() == 0:
            self.page.locator(".chips").get_by_text(name).click()
        expect(phone).to_have_count(1)
        return phone

    def text(self, name: str, words: str) -> None:
        phone = self._phone(name)
        phone.get_by_label("Text to the business").fill(words)
        phone.get_by_label("Send", exact=True).click()

    def shows(self, name: str, words: str) -> None:
        expect(self._phone(name).locator(".thread")).to_contain_text(words)
