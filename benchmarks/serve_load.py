"""Does the scoring server hold? 500 valid and 500 malformed requests from 8 clients at once, and the codes they get.

    python benchmarks/serve_load.py [requests of each kind]

Trains a tiny model in a temporary folder, starts `runner serve`, sends, counts. Exits with 1 unless every valid request
gets 200, every malformed one 4xx, and the server still answers at the end. Takes about two minutes on two slow cores.
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


VALID = [
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


def send(port: int, request: tuple[dict, bytes], method: str = "POST", path: str = "/invocations") -> int:
    """Return the status code."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    headers, body = request
    connection.request(method, path, body, headers)
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer.status


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
            return measure(port, each, server)
        finally:
            server.terminate()
            server.wait()
            log.seek(0)
            print(f"server log: {len(log.read().splitlines())} lines")


def measure(port: int, each: int, server: subprocess.Popen) -> int:
    for _ in range(600):
        try:
            if send(port, ({}, b""), "GET", "/ping") == 200:
                break
        except OSError:
            time.sleep(0.2)
    jobs = [("valid", VALID[n % len(VALID)], n % len(VALID)) for n in range(each)]
    jobs += [("malformed", MALFORMED[n % len(MALFORMED)], n % len(MALFORMED)) for n in range(each)]
    random.Random(0).shuffle(jobs)
    began = time.perf_counter()
    with ThreadPoolExecutor(CLIENTS) as pool:
        codes = list(pool.map(lambda job: send(port, job[1]), jobs))
    seconds = time.perf_counter() - began
    for _ in range(CLIENTS):
        cut_off(port)
    counts = {
        kind: Counter(code for job, code in zip(jobs, codes, strict=True) if job[0] == kind)
        for kind in ("valid", "malformed")
    }
    wrong = {(job[0], job[2], code) for job, code in zip(jobs, codes, strict=True)
             if (code != 200 if job[0] == "valid" else not 400 <= code < 500)}  # fmt: skip
    for kind, count in counts.items():
        print(f"{kind:9} {dict(sorted(count.items()))}")
    print(f"{len(jobs) / seconds:.0f} requests a second from {CLIENTS} clients, {seconds:.1f} s")
    alive = server.poll() is None and send(port, VALID[0]) == 200
    print(f"the server {'still answers' if alive else 'is gone'}")
    for kind, number, code in sorted(wrong):
        print(f"wrong: {kind} request {number} got {code}: {(VALID if kind == 'valid' else MALFORMED)[number]!r:.150}")
    return 1 if wrong or not alive else 0


if __name__ == "__main__":
    sys.exit(main())
