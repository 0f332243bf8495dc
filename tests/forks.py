"""
Processes that can be killed, without the seconds that each would need to import: one imports, and forks all others.

    with Forks("from tiny import *\\ndef work(folder): ...") as forks:
        assert forks.run("work", "/tmp/a") == 0
        forks.start("work", "/tmp/b")
        forks.kill()

The program must not compute anything while it is imported: threads do not survive a fork.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Self


SERVER = """
import json, os, sys

for line in sys.stdin:
    function, arguments = json.loads(line)
    child = os.fork()
    if child == 0:
        log = os.open(LOG, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(log, 1)
        os.dup2(log, 2)
        if "torch" in sys.modules:
            sys.modules["torch"].set_num_threads(1)
        globals()[function](*arguments)
        sys.stdout.flush()
        os._exit(0)
    print(child, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


class Forks:
    def __init__(self, program: str, env: dict[str, str] | None = None, *, needs_torch: bool = True) -> None:
        imports = "import torch" if needs_torch else ""
        self.log = Path(tempfile.mkstemp(prefix="forks_")[1])
        self.server = subprocess.Popen(
            [sys.executable, "-c", f"{imports}\nLOG = {str(self.log)!r}\n{program}\n{SERVER}"],
            cwd=Path(__file__).parent,
            env={**os.environ, **(env or {})},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.child = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.server.communicate()
        self.log.unlink()

    def start(self, function: str, *arguments: Any) -> None:
        """Calls a function of the program in a new process."""
        self.server.stdin.write(json.dumps([function, arguments]) + "\n")
        self.server.stdin.flush()
        self.child = int(self.server.stdout.readline())

    def wait(self) -> int:
        """Its exit status: 0, -9 for one that was killed, 1 after an error, of which `log` tells."""
        return int(self.server.stdout.readline())

    def run(self, function: str, *arguments: Any) -> int:
        self.start(function, *arguments)
        return self.wait()

    def kill(self) -> int:
        os.kill(self.child, signal.SIGKILL)
        return self.wait()
