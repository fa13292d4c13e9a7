"""`levelhead doctor`: looks at everything the product leans on and says what to do about what is wrong."""

import json
from dataclasses import asdict

import click

from app.commands.checks import ALL, look
from app.commands.findings import Finding
from app.commands.start import start
from app.config import ConfigError, load
from app.core import runtime

MARKS = {"ok": "✓", "warning": "!", "bad": "✗"}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="For machines: one JSON list.")
def doctor(as_json: bool) -> None:
    """Check settings, servers, tables, workers, queues and connections.

    One line each, with the next step for what is wrong. Ends with exit code 1 when something is.
    """
    try:
        settings = load()
    except ConfigError as error:
        report(
            [Finding("Settings", "bad", problem, "Set it and start again.") for problem in error.problems],
            as_json,
        )
        raise SystemExit(1) from error
    start(settings)
    findings = [Finding("Settings", "ok", f"{settings.env}, {settings.public_url}")]
    for name, check in ALL:
        findings += look(name, check)
    runtime.current().close()
    report(findings, as_json)
    if any(finding.state == "bad" for finding in findings):
        raise SystemExit(1)


def report(findings: list[Finding], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps([asdict(finding) for finding in findings], indent=2))
        return
    width = max(len(finding.name) for finding in findings)
    for finding in findings:
        click.echo(f"{MARKS[finding.state]} {finding.name:<{width}}  {finding.text}")
        if finding.next_step and finding.state != "ok":
            click.echo(f"  {'':<{width}}  → {finding.next_step}")
