"""A process that runs jobs of a sweep: `python -m runner.sweep.worker`, started by `runner.sweep.workers`.

It reads jobs from standard input, one JSON object a line, and answers on standard output in the same form. When
standard input closes, the sweep has ended: the running job saves its state and this process ends.
"""

import base64
import json
import os
import pickle
import queue
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from runner.sweep.execute import Outcome, run_one_job
from runner.sweep.state import JobState
from runner.training.deferred import defer
from runner.training.interrupt import Interrupt, Interrupted

Jobs = queue.SimpleQueue[dict[str, Any] | None]


def take_jobs(jobs: "Jobs") -> None:
    """Take jobs from the pipe (in a thread)."""
    for line in sys.stdin.buffer:
        message = json.loads(line)
        if message.get("end"):
            jobs.put(None)
            return
        jobs.put(message)
    os.kill(os.getpid(), signal.SIGTERM)


def do_jobs(jobs: "Jobs", answer: Callable[[Outcome], None]) -> None:
    """Run jobs until there are none left; Ctrl-C or SIGTERM ends the running one as it would end a single run."""
    from hydra import version
    from hydra.core.plugins import Plugins

    from runner.config.inferred import register_resolvers
    from runner.tracking.tracker import keep_tracker
    from runner.training.job import run

    about = jobs.get()
    assert about is not None, "the first message says what all jobs need"
    sys.argv = about["argv"]
    register_resolvers()
    version.setbase(about["version_base"])
    Plugins.instance()  # whose schemas the configuration needs
    context, config = pickle.loads(base64.b64decode(about["state"]))
    with keep_tracker(config.tracking.uri, Path.cwd() / "outputs"):
        while (message := jobs.get()) is not None:
            try:
                ended = run_one_job(context, run, config, message["job"], message["overrides"])
            except SystemExit:
                answer(Outcome(JobState.KILLED))
                raise
            answer(ended)


def main() -> None:
    """Run jobs until the sweep ends."""
    defer()
    pipe = os.dup(1)
    os.dup2(2, 1)  # what jobs print must not look like an answer
    Interrupt().install()
    jobs: Jobs = queue.SimpleQueue()
    threading.Thread(target=take_jobs, args=(jobs,), daemon=True).start()

    def answer(outcome: Outcome) -> None:
        try:
            os.write(pipe, json.dumps(asdict(outcome)).encode() + b"\n")
        except BrokenPipeError:
            os._exit(1)  # the sweep has ended, and the run is recorded

    try:
        do_jobs(jobs, answer)
    except Interrupted as stopped:
        sys.exit(stopped.exit_code)


if __name__ == "__main__":
    main()
