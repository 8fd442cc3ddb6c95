"""What `predict task=NAME` asks, and which models fit."""

import importlib
import json
import pkgutil

import pytest
import torch
from recorded_runs import called
from torch import nn

from runner import tasks
from runner.errors import UserError
from runner.inference.bundle import load_bundle
from runner.inference.pipelines import FEATURES, USUAL, averaged, features, fitting, pipeline
from runner.inference.predictor import Predictor
from runner.tasks.base import Task
from runner.verbs.predict import Predict

TEXTS = [{"text": "a fine film"}, {"text": "so dull and far too long"}]


def test_features_are_what_the_output_layer_is_given(trained):
    task, data, _ = load_bundle(trained("textcnn") / "model")
    found = torch.tensor([list(row.values()) for row in features(TEXTS, task, data)])
    with torch.inference_mode():
        expected = task.net(*task.encoded(TEXTS, data))
        torch.testing.assert_close(task.net.output(found), expected)


def test_features_of_a_text_are_the_mean_over_its_tokens(trained):
    predictor = Predictor(trained("gpt") / "model", question="features")
    together, alone = list(predictor(TEXTS)), list(predictor(TEXTS[:1]))
    assert list(together[0]) == list(alone[0]) and next(iter(together[0])) == "feature_1"
    assert alone[0] == pytest.approx(together[0], abs=1e-5), "padding counts for nothing"
    states, tokens = torch.tensor([[[1.0], [3.0], [9.0]]]), torch.tensor([[5, 7, 0]])
    assert averaged(states, tokens).tolist() == [[2.0]]


def test_a_name_is_what_the_objective_answers(trained):
    task, data, _ = load_bundle(trained("gpt") / "model")
    assert fitting(task) == ["generate", "features"]
    assert pipeline("generate", task)(TEXTS, data) == task.answer(TEXTS, data)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("fill_mask", "objective is CausalLM. It can be asked for: generate, features"),
        ("feature", 'is not one of .*Did you mean "features"'),
    ],
)
def test_a_name_that_does_not_fit(trained, name, said):
    with pytest.raises(UserError, match=said):
        Predictor(trained("gpt") / "model", question=name)


def test_a_net_without_such_parts_is_refused():
    class Silent:
        net, asked_as = nn.Linear(2, 2), ()

    with pytest.raises(UserError, match="nothing by such a name"):
        pipeline("features", Silent())


def test_the_command(recorded, tmp_path):
    (tmp_path / "a.txt").write_text("a fine film\nso dull\n")
    called(recorded, Predict(run="textcnn", task="features", input=tmp_path / "a.txt", output=tmp_path / "out.jsonl"))
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert len(rows) == 2 and all(name.startswith("feature_") for name in rows[0])


def test_every_usual_name_is_that_of_an_objective():
    said = set()
    for module in pkgutil.iter_modules(tasks.__path__, "runner.tasks."):
        found = vars(importlib.import_module(module.name)).values()
        said |= {name for each in found if isinstance(each, type) and issubclass(each, Task) for name in each.asked_as}
    assert said == set(USUAL) - {FEATURES}
