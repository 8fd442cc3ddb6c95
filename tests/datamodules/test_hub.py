"""`data=hub` against a small server that answers like the hub, in a separate program."""

import hashlib
import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import torch

from runner.datamodules.hub import HubTexts

REVISION = "a" * 40
FILES = {
    "train.csv": "text,label\n" + "".join(f"a good film {n},fresh\na bad film {n},rotten\n" for n in range(40)),
    "test.csv": "text,label\n" + "".join(f"good {n},fresh\nbad {n},rotten\n" for n in range(10)),
}
PROGRAM = """
import json, sys
from runner.build import build_data
from runner.config.compose import compose
from runner.config.inferred import settle
cfg = compose(["model=textcnn", "data=hub", *sys.argv[1:]])
settle(cfg.data)
data = build_data(cfg)
data.setup()
print(json.dumps([cfg.data.num_classes, list(data.class_names), len(data.train), len(data.test), data.source]))
"""


class Hub(BaseHTTPRequestHandler):
    """The few answers `datasets.load_dataset("me/films")` needs."""

    def do_GET(self):
        path = self.path.split("?")[0]
        if path.startswith("/api/datasets/me/films/tree"):
            self.answer([self.entry(name) for name in FILES])
        elif path.startswith("/api/datasets/me/films"):
            names = [{"rfilename": name} for name in FILES]
            self.answer({"id": "me/films", "sha": REVISION, "tags": [], "private": False, "siblings": names})
        elif "/resolve/" in path and path.rsplit("/", 1)[1] in FILES:
            name = path.rsplit("/", 1)[1]
            self.answer(FILES[name].encode(), ETag=f'"{self.entry(name)["oid"]}"')
        else:
            self.answer({"error": "Entry not found"}, 404, **{"X-Error-Code": "EntryNotFound"})

    do_HEAD = do_GET

    def entry(self, name: str) -> dict:
        content = FILES[name].encode()
        return {"type": "file", "path": name, "size": len(content), "oid": hashlib.sha1(content).hexdigest()}

    def answer(self, body, code: int = 200, **headers: str) -> None:
        body = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(code)
        for name, value in (headers | {"X-Repo-Commit": REVISION, "Content-Length": str(len(body))}).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *arguments) -> None:
        """Say nothing."""


@pytest.fixture
def hub():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def load(folder, address: str, *overrides: str) -> subprocess.CompletedProcess:
    environment = os.environ | {"HF_ENDPOINT": address, "HF_HOME": str(folder), "RUNNER_CACHE": str(folder / "cache")}
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, *overrides], env=environment, capture_output=True, text=True, timeout=200
    )


def test_a_dataset_of_the_hub(tmp_path, hub):
    done = load(tmp_path, hub, "data.path=me/films", "data.text=text", "data.label=label")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found == [2, ["fresh", "rotten"], 72, 20, "hub me/films, splits train, test"]
    assert "HTTP Request" not in done.stderr


def test_a_dataset_that_is_not_there(tmp_path, hub):
    done = load(tmp_path, hub, "data.path=me/nothing", "data.text=text", "data.label=label")
    assert done.returncode == 1
    assert 'The dataset "me/nothing" could not be loaded' in done.stderr and "Three ways" in done.stderr


def test_two_texts_in_a_row_and_a_test_split_whose_labels_are_hidden(tmp_path, monkeypatch):
    """As in the tasks of GLUE."""
    from datasets import ClassLabel, Dataset, Features, Value

    monkeypatch.setenv("RUNNER_CACHE", str(tmp_path / "cache"))
    kinds = Features({"one": Value("string"), "two": Value("string"), "label": ClassLabel(names=["yes", "no"])})
    for name, rows, label in (("train", 40, None), ("validation", 4, None), ("test", 6, -1)):
        columns = {
            "one": [f"{name} {row}" for row in range(rows)],
            "two": ["a text"] * rows,
            "label": [row % 2 if label is None else label for row in range(rows)],
        }
        Dataset.from_dict(columns, features=kinds).to_parquet(tmp_path / f"{name}.parquet")
    data = HubTexts(path=str(tmp_path), text="one", text_pair="two", label="label")
    data.setup()
    assert data.class_names == ["yes", "no"] and data.sizes == {"train": 36, "val": 4, "test": 4}
    assert data.raw("val", 1) == [{"one": "validation 0", "two": "a text"}]
    assert data.val.gather(torch.arange(4), torch.Generator()).segments[0].tolist() == [0, 0, 0, 0, 1, 1, 1]
