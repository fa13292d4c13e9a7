"""`python -m app.stack demo|serve|levelhead ...`: what ./run hands over to."""

import sys

from app.config import ConfigError
from app.stack.commands import run_levelhead
from app.stack.plan import PlanFailed, make_plan
from app.stack.programs import programs
from app.stack.runtime import AlreadyRunning
from app.stack.server import ServerFailed
from app.stack.supervisor import StartFailed, Supervisor


def main(arguments: list[str]) -> int:
    match arguments:
        case ["demo" | "serve" as mode]:
            plan = make_plan(mode)
            return Supervisor(plan, programs(plan)).run()
        case ["levelhead", *rest]:
            return run_levelhead(rest)
    print("Usage: ./run demo | serve | levelhead ... (settings come from the environment)")
    return 2


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except (AlreadyRunning, ConfigError, PlanFailed, ServerFailed, StartFailed) as error:
        sys.exit(str(error))
