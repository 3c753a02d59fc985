"""A process that has loaded the product and turns copies of itself into real servers within a moment, to be killed at will."""

from __future__ import annotations

import gc
import json
import os
import select
import signal
import subprocess
import sys
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

ROOT = Path(__file__).resolve().parents[2]


class Zygote:
    """Starts `trustpack` commands from a loaded process; `close` ends it and whatever it started."""

    def __init__(self, wire_directory: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.zygote", str(wire_directory)],
            cwd=ROOT,
            env={name: value for name, value in os.environ.items() if not name.startswith("TRUSTPACK_")},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,  # an interrupt at the terminal is for the one who watches
        )
        self._answer()

    def start(self, arguments: Sequence[str], *, environment: Mapping[str, str], directory: Path, log: Path) -> int:
        """Run a command in a copy and return its process id."""
        return int(
            self._ask(command=list(arguments), environment=dict(environment), directory=str(directory), log=str(log))["pid"]
        )

    def wait(self, pid: int) -> int:
        """Wait until a process has ended and return its exit code, negative for the signal that ended it."""
        return int(self._ask(wait=pid)["code"])

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()

    def _ask(self, **question: Any) -> dict[str, Any]:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "the process that starts servers has ended"
        answer: dict[str, Any] = json.loads(line)
        return answer


def has_ended(pid: int, *, within_seconds: float = 0) -> bool:
    """Say whether a process ends within the time, also when it is somebody else's child."""
    descriptor = os.pidfd_open(pid)
    try:
        return bool(select.select([descriptor], [], [], within_seconds)[0])
    finally:
        os.close(descriptor)


def _serve_questions() -> None:
    """Answer questions until nobody asks any more, then end what is left."""
    gc.freeze()  # what is loaded stays for ever: no copy looks through it
    alive: set[int] = set()
    _say(ready=True)
    for line in sys.stdin:
        question = json.loads(line)
        if "wait" in question:
            _, status = os.waitpid(question["wait"], 0)
            alive.discard(question["wait"])
            _say(code=os.waitstatus_to_exitcode(status))
            continue
        pid = os.fork()
        if pid == 0:
            _become(**question)
        alive.add(pid)
        _say(pid=pid)
    for pid in alive:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def _say(**answer: Any) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


def _become(*, command: list[str], environment: dict[str, str], directory: str, log: str) -> NoReturn:
    """Be the command, as if it had been started by itself."""
    from trustpack.app.cli import main  # noqa: PLC0415 - loaded already, before the first fork

    code = 1
    try:
        nothing, output = os.open(os.devnull, os.O_RDONLY), os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(nothing, 0)
        for stream in (1, 2):
            os.dup2(output, stream)
        os.chdir(directory)
        os.environ.update(environment)
        sys.argv = ["trustpack", *command]
        main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except BaseException:  # noqa: BLE001 - nothing may run on in a copy of somebody else's process
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    from tests.support import crash_points

    crash_points.install(crash_points.Wire(Path(sys.argv[1])))
    _serve_questions()
