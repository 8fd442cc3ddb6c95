"""The command, typed in a process that has imported everything already: for tests of what it does, not of its start.

`python warm.py` is that process. It reads what is typed from standard input, a JSON list a line, forks for each
(benchmarks/forks.py), and answers with exit code and output in the same form.
"""

import atexit
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]


def typed(words: Sequence[str], folder: Path, environment: Mapping[str, str], given: bytes = b"") -> tuple[int, str]:
    """Type `runner WORDS` in a folder.

    Args:
        words: what is typed.
        folder: the working folder.
        environment: all variables.
        given: what comes on standard input.

    Returns:
        Exit code, and what it prints, errors included.
    """
    process = server(environment["PYTHONPATH"])
    assert process.stdin is not None and process.stdout is not None
    try:
        print(json.dumps([[*words], str(folder), {**environment}, given.decode()]), file=process.stdin, flush=True)
        code, printed = json.loads(process.stdout.readline())
    except BaseException:  # a test that takes too long: its answer must not be taken for that of the next one
        process.kill()
        server.cache_clear()
        raise
    return code, printed


@cache
def server(path: str) -> subprocess.Popen[str]:
    """The process, which ends with this one."""
    environment = os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-P", __file__]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
    atexit.register(process.communicate)
    return process


def main() -> None:
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what libraries print must not look like an answer
    sys.path.append(str(ROOT / "benchmarks"))
    import forks

    sys.path.remove(str(ROOT / "benchmarks"))
    for line in sys.stdin:
        words, folder, environment, given = json.loads(line)
        os.environ.clear()
        os.environ.update(environment)
        print(json.dumps(forks.typed(words, Path(folder), given.encode())), file=answers)


if __name__ == "__main__":
    main()
