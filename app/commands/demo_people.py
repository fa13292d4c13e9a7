"""`levelhead demo-people`: who can sign in to the demo."""

import click

from app.commands.demo.businesses import PASSWORD, PEOPLE


@click.command("demo-people")
def demo_people() -> None:
    """Print the sign-ins of the demo's people."""
    for person in PEOPLE:
        click.echo(f"  {person.email:<15} {PASSWORD}   {person.name}: {person.role}")
