"""How the stack starts another program, and what it does about programs an earlier start left behind.

Every child gets its own process group, so that Ctrl-C in the terminal reaches the supervisor alone and the
order of stopping stays ours; and the kernel signals it when we die (PR_SET_PDEATHSIG), so that even SIGKILL
of the supervisor leaves nothing running. That signal is bound to the thread that started the child: start
children from the main thread.
"""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class Identity:
    """The account a program runs as, when it is not ours."""

    uid: int
    gid: int


def spawn(
    command: Sequence[str | Path],
    *,
    log: IO[bytes],
    errors: IO[bytes] | None = None,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    identity: Identity | None = None,
    death_signal: int = signal.SIGTERM,
    pass_fds: Sequence[int] = (),
) -> subprocess.Popen[bytes]:
    """Start a program that does not outlive us; its output goes to `log`, errors too unless they have a
    file of their own.
    """
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=errors or subprocess.STDOUT,
        env=None if env is None else dict(env),
        cwd=cwd,
        pass_fds=pass_fds,
        process_group=0,
        user=identity.uid if identity else None,
        group=identity.gid if identity else None,
        extra_groups=[] if identity else None,
        # Runs after the change of account, which would clear the setting.
        preexec_fn=_die_with_parent(death_signal),
    )


def _die_with_parent(death_signal: int) -> Callable[[], None]:
    parent = os.getpid()
    libc = ctypes.CDLL(None) if sys.platform == "linux" else None

    def arrange() -> None:
        if libc is not None:
            libc.prctl(PR_SET_PDEATHSIG, death_signal, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)

    return arrange


def signal_group(process: subprocess.Popen[bytes], number: int) -> None:
    """Signal a child and everything it started that stayed in its group, also when the child itself has
    ended.
    """
    try:
        os.killpg(process.pid, number)
    except (ProcessLookupError, PermissionError):
        return


def wait_until(condition: Callable[[], bool], seconds: float, step: float = 0.02) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(step)
    return True


def is_alive(pid: int, program: str) -> bool:
    """Whether the process lives and is that program; a number read from an old file may be somebody
    else's now.
    """
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        # No /proc on this system: the process exists, and we have nothing better to go by.
        return not Path("/proc/self").exists()
    name, _, rest = status.partition("(")[2].rpartition(")")
    return name.startswith(program) and rest.split()[0] != "Z"


def outlive(pid_file: Path, program: str, last_signal: int, patience: float = 10.0) -> None:
    """Wait until the server an earlier start left behind is gone, and end it when it does not go by itself.

    Only call this while holding the data directory's lock: then whoever still runs on it has lost its
    supervisor.
    """
    try:
        pid = int(pid_file.read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return
    if not wait_until(lambda: not is_alive(pid, program), patience):
        os.kill(pid, last_signal)
        wait_until(lambda: not is_alive(pid, program), patience)
    pid_file.unlink(missing_ok=True)
