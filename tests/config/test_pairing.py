"""Models, data and tasks that do not go together."""

import pytest
from command_problems import assert_problems

from runner.config.catalog import Catalog, folders
from runner.config.command import check

# command -> for each problem, in any order, the fragments that its message holds
BROKEN = [
    (
        "model=textcnn data=iris",
        [["model=textcnn cannot read data=iris: it needs vocab_size, which iris does not have", "can be read by: "]],
    ),
    ("data=iris", [["model=textcnn (the default) cannot read data=iris", "iris can be read by: "]]),
    (
        "model=mlp data=imdb",
        [["model=mlp cannot read data=imdb: it needs in_features", "imdb can be read by: ", "mlp can read: "]],
    ),
    (
        "model=char_rnn data=movie_reviews",
        [["model=char_rnn cannot read data=movie_reviews: it needs stream and context_len"]],
    ),
    (
        "model=textcnn data=characters",
        [["characters comes with task=causal_lm, which has no num_outputs", "characters can be read by: "]],
    ),
    ("model=vae data=iris", [["model=vae cannot read data=iris: it needs image_shape"]]),
    ("model=vae task=classification", [["model=vae cannot be trained with task=classification", "variational"]]),
    (
        "model=softmax_regression data=mnist_5k task=variational",
        [["model=softmax_regression cannot be trained with task=variational: that is the task of vae", "Leave task="]],
    ),
    (
        "task=estimator",
        [["model=textcnn cannot be trained with task=estimator", "that is the task of linear_regression, "]],
    ),
    ("model=mlp data=iris task=regression", [["do not go with task=regression", "no num_targets", "classification"]]),
]


@pytest.mark.parametrize(("command", "expected"), BROKEN, ids=[command for command, _ in BROKEN])
def test_what_does_not_go_together_is_explained(command, expected):
    assert_problems(check(command.split()), expected)


def test_a_model_that_does_not_say_what_it_reads_reads_nothing(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "mine.yaml").write_text("_target_: torch.nn.Linear\nin_features: 4\nout_features: 3\n")
    (found,) = check(["model=mine", "data=iris"], str(tmp_path))
    assert "model=mine does not say what it reads" in found and "in_features: ${data.in_features}" in found
    assert Catalog(folders([tmp_path])).readable("mine") == []


def test_messages_stay_short_where_many_models_read_the_data(tmp_path):
    (tmp_path / "model").mkdir()
    for number in range(60):
        (tmp_path / "model" / f"m{number}.yaml").write_text(
            "_target_: torch.nn.Linear\nin_features: ${data.in_features}\n"
        )
    (found,) = check(["model=textcnn", "data=iris"], str(tmp_path))
    assert len(found) < 600 and " more. textcnn can read:" in found
