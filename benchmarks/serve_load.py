"""Does the scoring server cope? 500 valid and 500 malformed requests from 8 clients at once: their codes and answers.

    python benchmarks/serve_load.py [requests of each kind]

Trains a tiny model in a temporary folder, starts `runner serve`, sends, counts. Exits with 1 unless every valid request
gets 200 and the answers of `runner predict`, every malformed one gets 4xx, and the server still answers at the end.
Takes about two minutes on two slow cores.
"""

import http.client
import json
import os
import random
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

CLIENTS = 8
JSON = {"Content-Type": "application/json"}
RUNNER = [sys.executable, "-m", "runner.cli"]


def records(*rows: dict) -> bytes:
    return json.dumps({"dataframe_records": list(rows)}).encode()


TEXTS = [["a fine film"], ["dull", "une comédie, 喜劇, \U0001f600"], ["bad", "good"], ["what a waste of time"],
         ["long " * 2000], ["fine", "with, comma"], ["x"]]  # fmt: skip
VALID = [  # each asks about the TEXTS at its place
    (JSON, records({"text": "a fine film"})),
    (JSON, records({"text": "dull"}, {"text": "une comédie, 喜劇, \U0001f600"})),
    (JSON, json.dumps({"dataframe_split": {"columns": ["text"], "data": [["bad"], ["good"]]}}).encode()),
    (JSON, json.dumps({"instances": [{"text": "what a waste of time"}]}).encode()),
    (JSON, json.dumps({"inputs": {"text": ["long " * 2000]}}).encode()),
    ({"Content-Type": "text/csv"}, b'text\nfine\n"with, comma"\n'),
    ({"Content-Type": "application/json; charset=utf-8"}, records({"text": "x", "more": "is left out"})),
]
MALFORMED = [
    (JSON, b""),
    (JSON, b"{"),
    (JSON, b"[1, 2]"),
    (JSON, b"null"),
    (JSON, b"\xff\xfe\x00"),
    (JSON, b"{}"),
    (JSON, b'{"dataframe_records": 5}'),
    (JSON, b'{"dataframe_records": null}'),
    (JSON, b'{"dataframe_records": [1, 2]}'),
    (JSON, b'{"dataframe_records": [{"txt": "a"}]}'),
    (JSON, b'{"dataframe_records": [{"text": null}]}'),
    (JSON, b'{"dataframe_records": [{"text": ""}]}'),
    (JSON, b'{"dataframe_records": [{"text": {"a": 1}}]}'),
    (JSON, b'{"dataframe_records": [{"text": "a"}, 7]}'),
    (JSON, b'{"dataframe_split": {"columns": ["text"], "data": [["a", "b"]]}}'),
    (JSON, b'{"dataframe_split": {"data": 5}}'),
    (JSON, b'{"dataframe_split": "text"}'),
    (JSON, b'{"instances": 5}'),
    (JSON, b'{"dataframe_records": [{"text": "a"}], "inputs": {"text": ["a"]}}'),
    (JSON, b"[" * 100_000),
    (JSON, b'{"dataframe_records": ' * 5000),
    ({"Content-Type": "text/csv"}, b""),
    ({"Content-Type": "text/csv"}, b"other\n1\n"),
    ({"Content-Type": "text/csv"}, b"text\n\xff\n"),
    ({"Content-Type": "text/csv"}, b'text\n"open\n'),
    ({"Content-Type": "application/vnd.apache.parquet"}, b"PAR1 no"),
    ({"Content-Type": "text/plain"}, b"a fine film"),
    ({"Content-Type": "application/json; charset=latin-1"}, records({"text": "a"})),
    ({"Content-Type": ""}, records({"text": "a"})),
    ({}, records({"text": "a"})),
]


def ask(port: int, request: tuple[dict, bytes], method: str = "POST", path: str = "/invocations") -> tuple[int, bytes]:
    """Return the status code and the body of the answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    headers, body = request
    connection.request(method, path, body, headers)
    answer = connection.getresponse()
    said = answer.read()
    connection.close()
    return answer.status, said


def send(port: int, request: tuple[dict, bytes], method: str = "POST", path: str = "/invocations") -> int:
    """Return the status code alone."""
    return ask(port, request, method, path)[0]


def cut_off(port: int) -> None:
    """Send half a request and hang up."""
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(
            b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{"
        )


def main() -> int:
    each = int(sys.argv[1]) if len(sys.argv) > 1 else 500
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with tempfile.TemporaryDirectory() as folder:
        train = ["model=textcnn", "trainer=debug", "trainer.accelerator=cpu", "tracking.system_metrics=false"]
        subprocess.run([*RUNNER, *train], cwd=folder, env=environment, check=True, stdout=subprocess.DEVNULL)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        log = open(Path(folder, "server.log"), "w+")  # noqa: SIM115 (read at the end)
        command = [*RUNNER, "serve", "run=last", f"port={port}"]
        server = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=subprocess.STDOUT)
        try:
            return measure(port, each, server, predicted(Path(folder), environment))
        finally:
            server.terminate()
            server.wait()
            log.seek(0)
            print(f"server log: {len(log.read().splitlines())} lines")


def predicted(folder: Path, environment: dict) -> list[list[dict]]:
    """Return the answers of `runner predict` for TEXTS."""
    lines = "".join(json.dumps({"text": text}) + "\n" for texts in TEXTS for text in texts)
    command = [*RUNNER, "predict", "run=last"]
    said = subprocess.run(command, cwd=folder, env=environment, check=True, input=lines, text=True, capture_output=True)
    answers = iter([json.loads(line) for line in said.stdout.splitlines()])
    return [[next(answers) for _ in texts] for texts in TEXTS]


def is_right(body: bytes, expected: list[dict]) -> bool:
    """Whether an answer says what `runner predict` says; the last digits depend on the size of a batch."""
    rows = json.loads(body)["predictions"]
    return len(rows) == len(expected) and all(
        row.keys() == right.keys()
        and all(abs(row[k] - v) < 1e-5 if isinstance(v, float) else row[k] == v for k, v in right.items())
        for row, right in zip(rows, expected, strict=True)
    )


def measure(port: int, each: int, server: subprocess.Popen, expected: list[list[dict]]) -> int:
    """Send the requests, print what came back, and return the exit code."""
    for _ in range(600):
        try:
            if send(port, ({}, b""), "GET", "/ping") == 200:
                break
        except OSError:
            time.sleep(0.2)
    jobs = [("valid", n % len(VALID)) for n in range(each)] + [("malformed", n % len(MALFORMED)) for n in range(each)]
    random.Random(0).shuffle(jobs)
    requests = {"valid": VALID, "malformed": MALFORMED}
    began = time.perf_counter()
    with ThreadPoolExecutor(CLIENTS) as pool:
        answers = list(pool.map(lambda job: ask(port, requests[job[0]][job[1]]), jobs))
    seconds = time.perf_counter() - began
    for _ in range(CLIENTS):
        cut_off(port)
    wrong = set()
    counts = {"valid": Counter(), "malformed": Counter()}
    for (kind, number), (code, body) in zip(jobs, answers, strict=True):
        counts[kind][code] += 1
        good = code == 200 and is_right(body, expected[number]) if kind == "valid" else 400 <= code < 500
        if not good:
            wrong.add((kind, number, code))
    for kind, count in counts.items():
        print(f"{kind:9} {dict(sorted(count.items()))}")
    print(f"{len(jobs) / seconds:.0f} requests a second from {CLIENTS} clients, {seconds:.1f} s")
    alive = server.poll() is None and send(port, VALID[0]) == 200
    print(f"the server {'still answers' if alive else 'is gone'}")
    for kind, number, code in sorted(wrong):
        print(f"wrong: {kind} request {number} got {code}: {requests[kind][number]!r:.150}")
    print("every answer is that of runner predict" if not wrong else f"{len(wrong)} kinds of requests went wrong")
    return 1 if wrong or not alive else 0


if __name__ == "__main__":
    sys.exit(main())
