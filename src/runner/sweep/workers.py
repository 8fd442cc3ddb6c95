"""Jobs in parallel on one machine: processes that live as long as the sweep, so that imports happen only once."""

import base64
import json
import logging
import os
import pickle
import queue
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from hydra.types import HydraContext
from omegaconf import DictConfig

from runner.errors import UserError
from runner.sweep.execute import Outcome
from runner.sweep.state import JobState
from runner.tracking.environment import process_name

PATIENCE = 60.0  # seconds that jobs have to save and end

log = logging.getLogger(__name__)
Answers = queue.SimpleQueue[tuple["Worker", Outcome | None]]


def slots(jobs: int | str) -> int:
    """Return the number of jobs at the same time; "auto" is one for each GPU, or one."""
    if jobs == "auto":
        return max(1, len(gpus()))
    if not isinstance(jobs, int) or jobs < 1:
        raise UserError(f"sweep.jobs={jobs}: write a number, at least 1, or auto for one job on each GPU")
    return jobs


def gpus() -> list[str]:
    """Return the GPUs that this process may use; torch is not imported."""
    allowed = os.environ.get("CUDA_VISIBLE_DEVICES")
    if allowed is not None:
        return [device.strip() for device in allowed.split(",") if device.strip() not in ("", "-1")]
    if shutil.which("nvidia-smi") is None:
        return []
    command = ["nvidia-smi", "--query-gpu=index", "--format=csv,noheader"]
    listed = subprocess.run(command, capture_output=True, text=True, check=False)
    return listed.stdout.split() if listed.returncode == 0 else []


def worker_environment(slot: int, count: int) -> dict[str, str]:
    """Return the environment of one of `count` workers: its share of the CPU cores, and a GPU if there is one."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    share = {"OMP_NUM_THREADS": str(max(1, cores // count))}
    devices = gpus()
    device = {"CUDA_VISIBLE_DEVICES": devices[slot % len(devices)]} if devices else {}
    paths = os.pathsep.join(path for path in sys.path if path)
    return {**share, **os.environ, **device, "PYTHONPATH": paths}


class Worker:
    """A process that runs jobs, one after another.

    Args:
        slot: its number.
        command: the first line that it reads: what all jobs need.
        folder: of the sweep; what the jobs print goes to `worker-<slot>.log`.
        environment: its environment variables.
        answers: where its answers go, as (worker, answer); an answer of None means that it has ended.
    """

    def __init__(self, slot: int, command: bytes, folder: Path, environment: dict[str, str], answers: "Answers"):
        self.slot = slot
        self.job: int | None = None
        with open(folder / f"worker-{slot}.log", "ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", "runner.sweep.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=output,
                env=environment,
                start_new_session=True,  # Ctrl-C goes to the sweep, which passes it on
            )
        self.name = process_name(self.process.pid)
        self.answers = answers
        self.send(command)
        self.thread = threading.Thread(target=self.listen, daemon=True)
        self.thread.start()

    def send(self, line: bytes) -> None:
        assert self.process.stdin is not None
        with suppress(BrokenPipeError):  # it has ended, as its last answer also says
            self.process.stdin.write(line + b"\n")
            self.process.stdin.flush()

    def listen(self) -> None:
        """Pass on answers until there are none left (in a thread)."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            answer = json.loads(line)
            self.answers.put((self, Outcome(JobState(answer["status"]), answer["error"])))
        self.process.wait()
        self.answers.put((self, None))

    def end(self) -> None:
        """Release the process, which has ended or is about to."""
        assert self.process.stdin is not None and self.process.stdout is not None
        with suppress(BrokenPipeError):
            self.process.stdin.close()
        self.process.wait()
        self.thread.join()
        self.process.stdout.close()


class Workers:
    """Runs jobs in several processes.

    Args:
        context: Hydra's config loader and callbacks.
        config: the composed configuration of the sweep.
        folder: of the sweep.
        slots: how many processes.
        started: called with the name of each process before it is given a job.
    """

    def __init__(
        self, context: HydraContext, config: DictConfig, folder: Path, slots: int, started: Callable[[str], None]
    ):
        self.slots = slots
        self.folder = folder
        self.started = started
        state = base64.b64encode(pickle.dumps((context, config))).decode()
        base = config.hydra.runtime.version_base
        self.command = json.dumps({"state": state, "argv": sys.argv, "version_base": base}).encode()
        self.answers: Answers = queue.SimpleQueue()
        self.workers: dict[int, Worker] = {}

    def start(self, number: int, overrides: list[str]) -> None:
        worker = self.free_worker()
        worker.job = number
        worker.send(json.dumps({"job": number, "overrides": overrides}).encode())

    def free_worker(self) -> Worker:
        """Return a worker without a job, a new one if necessary."""
        for slot in range(self.slots):
            worker = self.workers.get(slot)
            if worker is None:
                environment = worker_environment(slot, self.slots)
                worker = self.workers[slot] = Worker(slot, self.command, self.folder, environment, self.answers)
                self.started(worker.name)
            if worker.job is None:
                return worker
        raise AssertionError("all workers have a job")

    def wait(self) -> tuple[int, Outcome]:
        """Wait until a job has ended."""
        while True:
            worker, answer = self.answers.get()
            job, worker.job = worker.job, None
            if answer is None:  # its process has ended: the next job gets a new one
                worker.end()
                del self.workers[worker.slot]
                if job is not None:
                    said = f"its process ended (exit code {worker.process.returncode}), see worker-{worker.slot}.log"
                    return job, Outcome(JobState.LOST, said)
            elif job is not None:
                return job, answer

    def stop(self) -> None:
        """End all processes; running jobs save their state. A second interrupt ends them immediately."""
        working = [worker for worker in self.workers.values() if worker.job is not None]
        for worker in self.workers.values():
            if worker.job is not None:
                worker.process.send_signal(signal.SIGINT)
            else:
                worker.send(json.dumps({"end": True}).encode())
        deadline = time.monotonic() + PATIENCE
        try:
            for worker in self.workers.values():
                worker.process.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            log.warning("%d jobs did not end within %.0f s and are killed", len(working), PATIENCE)
        finally:
            for worker in self.workers.values():
                if worker.process.poll() is None:
                    worker.process.kill()
                worker.end()
            self.workers.clear()
