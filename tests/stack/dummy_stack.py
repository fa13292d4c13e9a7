"""A stack whose own programs are tiny, so that the supervisor is tested without the product: run by test_supervisor."""

import sys

from app.stack.plan import make_plan
from app.stack.programs import Program
from app.stack.runtime import AlreadyRunning
from app.stack.supervisor import StartFailed, Supervisor

WEB = """
import http.server, os
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write(b"ok")
    def log_message(self, *args): pass
http.server.HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Answer).serve_forever()
"""
LISTEN = (
    "import socket, sys, time; s = socket.create_server(('127.0.0.1', int(sys.argv[1]))); time.sleep(600)"
)
# Forks like the real one. The first passes the signal on; the child of the second listens to nobody.
FORK = """
import os, signal, sys, time
child = os.fork()
if child:
    signal.signal(signal.SIGTERM, lambda *_: (os.kill(child, 15), sys.exit(0)))
print("[ERROR] a word for the terminal", flush=True)
time.sleep(600)
"""
STUBBORN = """
import os, signal, time
if os.fork() == 0:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("[ERROR] a word for the terminal", flush=True)
time.sleep(600)
"""
DIES_ONCE = """
import os, sys, time
mark = os.environ["DATA_DIR"] + "/died"
if not os.path.exists(mark):
    open(mark, "w").close()
    sys.exit(3)
time.sleep(600)
"""


def python(code: str, *arguments: str) -> Program:
    return Program([sys.executable, "-S", "-c", code, *arguments], grace=1.0)


def main(trouble: str) -> int:
    plan = make_plan("demo")
    parts = {
        "simulator": python(LISTEN, str(plan.simulator_port)),
        "migrate": python("import sys; sys.exit('no such table')" if trouble == "migrate" else "pass"),
        "web": python("import sys; sys.exit('no templates')" if trouble == "web" else WEB),
        "seed": python("import os; assert os.environ['DATABASE_URL'] and os.environ['REDIS_URL']"),
        "workers": python(STUBBORN if trouble == "stubborn" else FORK),
        "scheduler": python(DIES_ONCE),
        "people": python("print('ana@demo.example  a-password  agency owner')"),
    }
    return Supervisor(plan, parts).run()


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1]))
    except (AlreadyRunning, StartFailed) as error:
        sys.exit(str(error))
