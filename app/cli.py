"""`levelhead …`: what a screen can set up, a command can set up too; and what only the machine's owner needs.

Settings come from the environment, as for the website (`./run levelhead …` takes those of the stack that runs). Each command
lives in app/commands. Mistakes end with one plain sentence and an exit code that is not 0.
"""

import click

from app.commands import (
    backup,
    connect,
    create,
    demo_people,
    doctor,
    migrate,
    replay,
    restore,
    rotate_keys,
    seed,
    send,
)
from app.commands.start import FriendlyGroup


@click.group(cls=FriendlyGroup, context_settings={"help_option_names": ["-h", "--help"]})
def cli() -> None:
    """Look after a Levelhead installation: set it up, check it, mend it.

    \b
    A first set-up without a browser:
      levelhead migrate
      levelhead create agency "Northwind Local"
      levelhead create account "Bright Smile Dental" --timezone America/New_York
      levelhead create user you@example.com --agency-owner
      levelhead connect twilio --account bright-smile-dental --account-sid AC…
      levelhead doctor
    """


for command in (
    migrate.migrate,
    create.create,
    connect.connect,
    doctor.doctor,
    replay.replay,
    rotate_keys.rotate_keys,
    backup.backup,
    restore.restore,
    send.send,
    seed.seed,
    demo_people.demo_people,
):
    cli.add_command(command)


def main() -> None:
    cli(prog_name="levelhead")


if __name__ == "__main__":
    main()
