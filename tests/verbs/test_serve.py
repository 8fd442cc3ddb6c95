"""The scoring server: MLflow's answers for good requests, 4xx for all others, on the loopback address."""

import importlib.util
import json
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from runner.errors import UserError
from runner.inference.predictor import Predictor
from runner.tracking.artifacts import client, model_uri
from runner.tracking.find import find_run
from runner.verbs import serve
from runner.verbs.options import parse

pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore::ResourceWarning", "ignore:.*type hint:UserWarning"
)
LOAD = Path(__file__).parents[2] / "benchmarks" / "serve_load.py"


@pytest.fixture(scope="module")
def load():
    """The benchmark with its valid and malformed requests."""
    spec = importlib.util.spec_from_file_location("serve_load", LOAD)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def port(recorded) -> Iterator[int]:
    import uvicorn

    folder, ids = recorded
    run = find_run(None, folder / "outputs", ids["textcnn"])
    client(None, folder / "outputs")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        free = probe.getsockname()[1]
    server = uvicorn.Server(uvicorn.Config(serve.application(model_uri(run)), port=free, log_level="critical"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        thread.join(0.05)
    yield free
    server.should_exit = True
    thread.join()


def test_every_valid_request_is_answered_and_every_other_refused(port: int, load) -> None:
    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(lambda request: load.send(port, request), load.VALID)) == {200}
        codes = list(pool.map(lambda request: load.send(port, request), load.MALFORMED))
    assert [code for code in codes if not 400 <= code < 500] == []
    load.cut_off(port)
    assert load.send(port, load.VALID[0]) == 200


def test_answers_are_those_of_predict(port: int, recorded) -> None:
    import http.client

    folder, ids = recorded
    rows = [{"text": "a fine film"}, {"text": "so dull"}]
    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.request(
        "POST", "/invocations", json.dumps({"dataframe_records": rows}), {"Content-Type": "application/json"}
    )
    answer = json.loads(connection.getresponse().read())["predictions"]
    connection.close()
    assert answer == list(Predictor(find_run(None, folder / "outputs", ids["textcnn"]).folder / "model")(rows))


def test_a_refusal_says_what_is_wrong(port: int) -> None:
    import http.client

    connection = http.client.HTTPConnection("127.0.0.1", port)
    body = json.dumps({"dataframe_records": [{"text": "fine"}, {"text": " "}]})
    connection.request("POST", "/invocations", body, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    assert answer.status == 400
    assert 'row 2, column \\"text\\": the text is empty' in answer.read().decode()
    connection.close()


def test_too_large_requests_are_refused(port: int, load, monkeypatch) -> None:
    monkeypatch.setattr(serve, "LARGEST_BODY", 1000)
    assert load.send(port, (load.JSON, load.records({"text": "long " * 1000}))) == 413


def test_the_server_binds_to_the_loopback_address_unless_asked() -> None:
    assert parse(serve.Serve, ["run=last"]).host == "127.0.0.1"


def test_a_port_in_use_is_named(recorded) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        number = taken.getsockname()[1]
        with pytest.raises(UserError, match=rf"cannot listen on 127.0.0.1:{number}.*Try port={number + 1}"):
            serve.check_address("127.0.0.1", number)
