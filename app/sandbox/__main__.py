"""`python -m app.sandbox --port N --smtp-port M`: the provider simulator as a process of its own."""

import argparse
import signal
from pathlib import Path

from app.sandbox.factory import create_sandbox
from app.sandbox.mail import catch_mail
from app.sandbox.server import SandboxServer
from app.sandbox.state import Simulator


def read_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m app.sandbox", description="Plays the providers' APIs.")
    parser.add_argument("--port", type=int, required=True, help="where the APIs and pages are served")
    parser.add_argument("--smtp-port", type=int, help="where mail is caught; left out, none is")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--state", type=Path, metavar="FILE", help="keep the played world in this file")
    parser.add_argument(
        "--public-url", default="", help="how the app reaches this process, if not by host and port"
    )
    return parser.parse_args(arguments)


def main() -> None:
    options = read_arguments()
    public_url = options.public_url.rstrip("/") or f"http://{options.host}:{options.port}"
    app = create_sandbox(public_url, options.state)
    sim: Simulator = app.extensions["simulator"]
    server = SandboxServer(app, options.host, options.port)
    catcher = catch_mail(sim.mailbox, options.host, options.smtp_port) if options.smtp_port else None
    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, _leave)
    print(f"simulator: {server.url}", flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        pass
    finally:
        server.server_close()
        if catcher:
            catcher.stop()
        sim.stop()


def _leave(number: int, frame: object) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
