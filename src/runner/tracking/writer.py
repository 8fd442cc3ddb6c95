"""The process that writes runs to MLflow: `python -m runner.tracking.writer`, started by `Tracker`.

It reads messages from standard input, one JSON object a line (`{"do": "metrics", "run": 1, ...}`), and
answers on standard output in the same form. Each message is carried out by the method of `Writer` with its
name. The training process never waits for a database, and this process outlives it: when standard input
closes before a run was finished, the training was killed, and the run is marked KILLED.
"""

import json
import logging
import os
import queue
import signal
import sys
import threading
import time
import traceback
from typing import Any

from runner.tracking.environment import environment, own_name
from runner.tracking.store import PARAM_LENGTH, OpenRun, Store

FLUSH_SECONDS = 2.0
VANISHED = "the process vanished without a word (kill -9, out of memory)"
CLOSED = "the process ended without finishing the run"


class Writer:
    """Carries out the messages of one training process.

    Args:
        uri: tracking URI, absolute.
        artifact_root: URI of the folder for the artifacts of new experiments; "" leaves it to the server.
        answers: file descriptor that the answers go to.
    """

    def __init__(self, uri: str, artifact_root: str, answers: int):
        self.uri = uri
        self.artifact_root = artifact_root
        self.answers = answers
        self.store: Store | None = None
        self.trouble: Exception | None = None
        self.runs: dict[int, OpenRun] = {}
        self.refused: set[int] = set()  # runs that could not be opened: what comes for them is dropped

    def connect(self) -> None:
        """Reach the store before the first message asks for it; trouble is kept until then."""
        try:
            self.store = Store(self.uri, self.artifact_root)
        except Exception as error:  # whatever a database, a server or a file system may answer
            self.trouble = error

    def serve(self, messages: queue.SimpleQueue, parent: int) -> None:
        """Carry out messages until the training process closes its end or is no more."""
        flushed = time.monotonic()
        while True:
            try:
                message = messages.get(timeout=0.5)
            except queue.Empty:
                # A forked worker of a killed training may keep the pipe open: so look at the parent as well.
                message = {"do": "end"} if os.getppid() != parent else {"do": "wait"}
            if message["do"] == "end":
                break
            if message["do"] != "wait":
                self.carry_out(message)
            if time.monotonic() - flushed > FLUSH_SECONDS:
                for run in self.runs.values():
                    self.flush(run)
                flushed = time.monotonic()
        ended = message.get("why", VANISHED)
        for key in list(self.runs):
            self.carry_out({"do": "finish", "run": key, "status": "KILLED", "tags": {"runner.ended": ended}})

    def carry_out(self, message: dict[str, Any]) -> None:
        """Call the method that the message names; a failure is answered, never raised."""
        do, key = message.pop("do"), message.pop("run")
        if key in self.refused:
            return
        try:
            getattr(self, f"do_{do}")(key, **message)
        except Exception as error:  # whatever a database, a server or a file system may answer
            if do in ("start", "reserve") and key not in self.runs:
                self.refused.add(key)
                self.answer(run=key, error=explain(error))
            elif do == "finish":
                self.runs.pop(key, None)
                self.answer(run=key, done=True, error=f"MLflow did not store all of the run: {explain(error)}")
            else:
                what = f"{do} {message.get('path', '')}".strip()
                self.answer(warning=f"MLflow did not store all of the run ({what}): {explain(error)}")

    def answer(self, **answer: Any) -> None:
        """Send one answer; a training process that is no more needs none."""
        try:
            os.write(self.answers, json.dumps(answer).encode() + b"\n")
        except BrokenPipeError:
            self.answers = os.open(os.devnull, os.O_WRONLY)

    def flush(self, run: OpenRun) -> None:
        """Store the points that wait if the store answers now; else they wait on, with one warning."""
        assert self.store is not None
        try:
            self.store.flush(run, patience=0.0)
        except Exception as error:
            if not run.warned:
                self.answer(warning=f"MLflow does not answer; metrics are kept until it does ({explain(error)})")
            run.warned = True

    # One method a message. `key` is the number of the run.

    def do_start(
        self,
        key: int,
        experiment: str,
        name: str,
        params: dict[str, str],
        tags: dict[str, str],
        parent: str | None,
        resume: str | None,
        system_metrics: bool,
        time_ms: int,
        context: dict[str, Any],
    ) -> None:
        """Open a new run, or an old one again, and answer its id."""
        self.reach_store()
        found, diff = environment(context)
        tags = {**tags, "runner.writer": own_name(), **({"mlflow.parentRunId": parent} if parent else {})}
        if resume:
            run = self.store.reopen_run(resume, params, tags, found)
        else:
            run = self.store.create_run(experiment, name, {**found, **tags}, time_ms)
        self.runs[key] = run
        self.answer(run=key, id=run.id)
        if not resume:
            self.store.log_params(run.id, params)
        for param in (param for param, value in params.items() if len(value) > PARAM_LENGTH):
            self.answer(warning=f"MLflow keeps {PARAM_LENGTH} characters of the parameter {param}; the config has all")
        if diff:
            self.store.client.log_text(run.id, diff, "git.resumed.diff" if run.resumed else "git.diff")
        if system_metrics:
            self.start_monitor(run, resumed=run.resumed)
        if len(self.runs) == 1:
            self.store.close_lost_runs(run.experiment_id)

    def do_reserve(self, key: int, experiment: str, name: str, tags: dict[str, str], time_ms: int) -> None:
        """Create a run that another process, or this one later, will begin, and answer its id."""
        self.reach_store()
        run = self.store.reserve_run(experiment, name, {**tags, "runner.writer": own_name()}, time_ms)
        self.answer(run=key, id=run.id, done=True)

    def reach_store(self) -> None:
        """Have a store, or raise why there is none."""
        if self.trouble:
            trouble, self.trouble = self.trouble, None
            raise trouble
        if self.store is None:
            self.store = Store(self.uri, self.artifact_root)

    def do_metrics(self, key: int, values: dict[str, float], step: int, time_ms: int) -> None:
        """Keep the points for the next batch."""
        from mlflow.entities import Metric

        run = self.runs[key]
        run.points += [Metric(name, x, time_ms, step) for name, x in values.items() if step > run.stored.get(name, -1)]

    def do_tags(self, key: int, tags: dict[str, str], of: str | None = None) -> None:
        """Set tags of the run, or of the run with the id `of`."""
        self.store.set_tags(of or self.runs[key].id, tags)

    def do_artifact(self, key: int, path: str, folder: str | None) -> None:
        """Copy a file or a folder to the artifacts of the run."""
        self.store.log_artifact(self.runs[key], path, folder)

    def do_dataset(self, key: int, **parts: Any) -> None:
        """Record what the run read."""
        self.store.log_dataset(self.runs[key], **parts)

    def do_model(self, key: int, **parts: Any) -> None:
        """Store a folder as the pyfunc model of the run."""
        self.store.log_model(self.runs[key], **parts)

    def do_finish(self, key: int, status: str, tags: dict[str, str], time_ms: int | None = None) -> None:
        """Store all that waits, set the status, and answer when it is done."""
        run = self.runs[key]
        try:
            self.stop_monitor(run)
            self.store.flush(run)
        finally:  # the status must be true even where points are lost
            self.store.set_tags(run.id, tags)
            self.store.close_run(run, status, time_ms)
        del self.runs[key]
        self.answer(run=key, done=True)

    def start_monitor(self, run: OpenRun, resumed: bool) -> None:
        """Start MLflow's thread that measures processor, memory, disk, network and GPU every ten seconds."""
        from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

        run.monitor = SystemMetricsMonitor(run.id, resume_logging=resumed, tracking_uri=self.uri)
        run.monitor.start()

    def stop_monitor(self, run: OpenRun) -> None:
        """Stop the thread, after one last sample, so that a run of a few seconds has one too."""
        if run.monitor is not None:
            run.monitor.finish()
            run.monitor.collect_metrics()
            run.monitor.publish_metrics(run.monitor.aggregate_metrics())
            run.monitor.mlflow_logger.flush()


class Answers(logging.Handler):
    """Sends the warnings of libraries to the training process, which prints them in its own way.

    Args:
        writer: whose answers they become.
    """

    def __init__(self, writer: Writer):
        super().__init__(logging.WARNING)
        self.writer = writer

    def emit(self, record: logging.LogRecord) -> None:
        """Send one record."""
        self.writer.answer(warning=f"{record.name}: {record.getMessage()}")


def explain(error: BaseException) -> str:
    """Return the error in one line: the first, without the SQL statement and the links that follow."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__)[:500]


def read(messages: queue.SimpleQueue) -> None:
    """Take messages from the pipe as fast as they come, so that the training process never waits."""
    end = {"do": "end"}
    for line in sys.stdin.buffer:
        if not line.endswith(b"\n"):
            break  # half a line: the training process was killed while it wrote
        message = json.loads(line)
        if message["do"] == "close":
            end = {"do": "end", "why": CLOSED}
            break
        messages.put(message)
    messages.put(end)


def main() -> None:
    """Serve until the training process ends."""
    uri, artifact_root, parent = sys.argv[1:]
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # the training process decides when it is over
    answers = os.dup(1)
    os.dup2(2, 1)  # what libraries print must not look like an answer
    writer = Writer(uri, artifact_root, answers)
    messages: queue.SimpleQueue = queue.SimpleQueue()
    threading.Thread(target=read, args=(messages,), daemon=True).start()
    logging.basicConfig(handlers=[Answers(writer)], level=logging.WARNING)
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.CRITICAL)  # failures come as exceptions and are answered once
    try:
        writer.connect()
        writer.serve(messages, int(parent))
    except Exception:
        writer.answer(fatal=traceback.format_exc())
        os._exit(1)
    os._exit(0)  # all is stored; taking hundreds of modules down in good order would cost a second


if __name__ == "__main__":
    main()
