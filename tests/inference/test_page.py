"""The page of `runner demo`, asked as a browser asks it: good input is answered, other input refused by a sentence."""

import asyncio
import gc
import http.client
import json
import re
import socket
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pads import drawn, sent
from recorded_runs import bundle
from small_runs import untrained

from runner.errors import UserError
from runner.inference.predictor import Predictor
from runner.tasks.base import Task

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning", "ignore::UserWarning")
gradio = pytest.importorskip("gradio", reason='pip install "runner[demo]"')


@pytest.fixture(scope="module")
def served() -> Iterator[Any]:
    """Serves the page of a model: `served(predictor)` returns the port."""
    import uvicorn

    from runner.inference.page import page_of

    running = []

    def port_of(predictor: Predictor) -> int:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            free = probe.getsockname()[1]
        server = uvicorn.Server(
            uvicorn.Config(page_of(predictor, "a run"), port=free, log_level="critical", timeout_graceful_shutdown=1)
        )
        thread = threading.Thread(target=server.run)
        thread.start()
        running.append((server, thread))
        while not server.started:
            thread.join(0.05)
        return free

    yield port_of
    for server, thread in running:
        server.should_exit = True
        thread.join()
    running.clear()
    with warnings.catch_warnings(action="ignore"):  # what gradio leaves open is cleared away here, not in another test
        asyncio.set_event_loop(None)
        gc.collect()


def got(port: int, method: str, path: str, body: bytes | None = None) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request(method, path, body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def asked(port: int, name: str, *values: Any) -> list | None:
    """What a call answers; None = gradio itself refuses it."""
    path = f"/gradio_api/call/{name}"
    _, text = got(port, "POST", path, json.dumps({"data": values}).encode())
    _, events = got(port, "GET", f"{path}/{json.loads(text)['event_id']}")
    event, data = events.strip().splitlines()[-2:]
    return json.loads(data.removeprefix("data: ")) if event == "event: complete" else None


def test_a_page_answers_and_no_input_ends_it(served, recorded) -> None:
    model = Predictor(bundle(recorded, "textcnn"))
    port = served(model)
    said, label, found, words = asked(port, "answer", "a fine <b>film</b>")
    expected = next(model([{"text": "a fine <b>film</b>"}]))
    assert said == "" and expected["label"] in label
    shares = {one["label"]: one["confidence"] for one in found["confidences"]}
    assert shares == pytest.approx({name: expected[f"probability_{name}"] for name in shares})
    assert ">fine</span>" in words and f"words for {expected['label']} are green" in words
    said, label, *_ = asked(port, "answer", " \n")
    assert "the row, column &quot;text&quot;: the text is empty" in said and not label
    said, *_ = asked(port, "answer", {"<img src=x>": 1}) or [""]
    assert "<img" not in said
    for values in ((), (None,), (3,), ([1],), ("a", "b"), ("\x00" * 100,), ("x" * 30_000,)):
        asked(port, "answer", *values)
    for body in (b"", b"{", b"[]", b"\xff", b'{"data": 3}', b"null"):
        for path in (
            "/gradio_api/call/answer",
            "/gradio_api/queue/join",
            "/gradio_api/upload",
            "/gradio_api/run/x",
            "/",
        ):
            assert 400 <= got(port, "POST", path, body)[0] < 500
    for path in ("/gradio_api/file=/etc/hosts", "/gradio_api/file=../pyproject.toml", "/%00"):
        assert 400 <= got(port, "GET", path)[0] < 500
    assert asked(port, "answer", "a fine <b>film</b>")[0] == ""


def test_a_page_loads_nothing_from_elsewhere(served, recorded) -> None:
    port = served(Predictor(bundle(recorded, "iris")))
    status, page = got(port, "GET", "/")
    assert status == 200 and not [host for host in ("googleapis", "gstatic", "cdnjs", "unpkg") if host in page]
    config = json.loads(got(port, "GET", "/config")[1])
    assert not config["analytics_enabled"] and not config["is_colab"] and not config.get("space_id")
    theme = got(port, "GET", "/theme.css")[1]
    assert "system-ui" in theme and not {"https", "@import"} & {*re.findall(r"@?\w+", theme)}


def test_numbers_have_boxes_and_a_mistake_in_one_is_named(served, recorded) -> None:
    model = Predictor(bundle(recorded, "iris"))
    port = served(model)
    expected = next(model([dict(zip(model.columns, (5.1, 3.5, 1.4, 0.2), strict=True))]))["label"]
    assert asked(port, "answer", 5.1, 3.5, 1.4, 0.2)[:2] == ["", f'<h2 class="label">{expected}</h2>']
    assert (
        "column &quot;petal_length&quot;: &#x27;&#x27; is not a number" in asked(port, "answer", 5.1, 3.5, None, 1)[0]
    )
    assert "too large" in asked(port, "answer", 1e300, 3.5, 1.4, 0.2)[0]


def test_a_source_is_written_with_where_the_model_looked(served, tmp_path: Path) -> None:
    port = served(untrained(tmp_path, "attention_seq2seq"))
    said, written, others, look = asked(port, "write", "abcd", 1)
    assert said == "" and written and look["plot"].startswith("data:image/") and not others["visible"]
    assert asked(port, "write", "abcd", 3)[2]["value"].count("\n") == 2
    assert "the text is empty" in asked(port, "write", "", 3)[0]


def test_a_prompt_is_continued(served, tmp_path: Path) -> None:
    port = served(untrained(tmp_path, "char_rnn"))
    assert len(asked(port, "continue", "The film", "sample", 0.8, 50, 0)[1]) == 50
    assert "the seed is a whole number" in asked(port, "continue", "The film", "sample", 0.8, 50, -1)[0]


def test_a_drawing_is_recovered_and_the_plane_walked(served, tmp_path: Path) -> None:
    port = served(untrained(tmp_path, "vae"))
    said, seen, again, code = asked(port, "draw", sent(drawn()), True)
    assert said == "" and seen["url"] and again["url"] and code.startswith("code_0: ")
    assert "the pad is empty" in asked(port, "draw", sent(drawn() * 0 + 255), True)[0]
    assert "no PNG image" in asked(port, "draw", "data:image/png;base64,AAAA", True)[0]
    for name, values in (("plane", (0.5, -1)), ("sample", (9, 1)), ("way", (1, 2, 0.5))):
        said, image = asked(port, name, *values)
        assert said == "" and image["url"], name
    assert "the seed is a whole number" in asked(port, "sample", 9, 1.5)[0]


@pytest.mark.parametrize("generator", ["gan", "dcgan"])
def test_generators_draw(served, tmp_path: Path, generator: str) -> None:
    port = served(untrained(tmp_path, generator))
    for name, values in (("sample", (9, 1)), ("way", (1, 2, 0.5))):
        said, image = asked(port, name, *values)
        assert said == "" and image["url"], name
    assert "the seed is a whole number" in asked(port, "sample", 9, 1.5)[0]
    assert asked(port, "way", -1, 2, 0.5) is None  # gradio itself refuses what is out of range


def test_an_autoencoder_recovers_what_is_drawn(served, tmp_path: Path) -> None:
    port = served(untrained(tmp_path, "autoencoder"))
    said, seen, again, code = asked(port, "draw", sent(drawn()), True)
    assert said == "" and seen["url"] and again["url"] and code.startswith("code_0: ")
    assert "the pad is empty" in asked(port, "draw", sent(drawn() * 0 + 255), True)[0]


def test_word_vectors_answer_questions(served, tmp_path: Path) -> None:
    model = untrained(tmp_path, "skipgram")
    port = served(model)
    said, table = asked(port, "ask", "near", "film")
    rows = model.task.questions()["near"]("film", model.data)
    assert said == "" and table["headers"] == [*rows[0]]
    assert [row[0] for row in table["value"]["data"]] == [next(iter(row.values())) for row in rows] and len(rows) > 1
    assert "zzzz" in asked(port, "ask", "near", "zzzz")[0]
    assert (asked(port, "ask", "far", "film") or ["the question"])[0] and asked(port, "ask", "near", "")[0]


def test_a_window_of_numbers_is_typed_as_json(served, tmp_path: Path) -> None:
    model = untrained(tmp_path, "gru", "data=stocks", "data.num_steps=5")
    port = served(model)
    (row,) = model.data.inputs.example(1, np.random.default_rng(0))
    said, found = asked(port, "row", json.dumps({name: np.asarray(cell).tolist() for name, cell in row.items()}))
    assert said == "" and found == pytest.approx(next(model([row])), rel=1e-4)
    for typed in ("[1]", "{", "{}", '{"window": [1]}', '{"window": "a"}', '{"window": null}'):
        assert asked(port, "row", typed)[0], typed


def test_a_question_about_a_text_is_answered_by_a_part_of_it(served, tmp_path: Path) -> None:
    model = untrained(tmp_path, "bert", "data=squad", "data.made=200", "data.max_len=100")
    port = served(model)
    assert list(model.columns) == ["question", "text"]
    row = {"text": "the film was made by jane campion in 1993", "question": "who made the film ?"}
    said, found = asked(port, "answer", *(row[name] for name in model.columns))
    assert said == "" and found == "\n".join(model.task.shown(next(model([row]))))
    assert found.splitlines()[0].removeprefix("answer: ") in row["text"]
    assert "is empty" in asked(port, "answer", *("" for _ in model.columns))[0]


def test_codes_of_sentences_have_rows_and_questions(served, tmp_path: Path) -> None:
    model = untrained(tmp_path, "text_aae")
    port = served(model)
    said, found, *_ = asked(port, "answer", "a fine film")
    assert said == "" and found.startswith("reconstruction: ")
    for name, value in (("sample", "3"), ("near", "a fine film"), ("interpolate", "a film|a plot")):
        said, table = asked(port, "ask", name, value)
        assert said == "" and table["value"]["data"], name
    assert asked(port, "ask", "sample", "many")[0] and asked(port, "ask", "interpolate", "a film")[0]


def test_a_model_that_answers_nothing_has_no_page(recorded, monkeypatch) -> None:
    from runner.inference.page import page_of

    model = Predictor(bundle(recorded, "iris"))
    monkeypatch.setattr(type(model.task), "answer_columns", Task.answer_columns)
    with pytest.raises(UserError, match="Classification answers no single examples"):
        page_of(model, "a run")
