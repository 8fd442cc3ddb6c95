"""Models, data and tasks that do not go together."""

import pytest
from command_problems import assert_problems

from runner.config.command import check

# command -> for each problem, in any order, the fragments that its message holds
BROKEN = [
    (
        "model=textcnn data=iris",
        [["model=textcnn cannot read data=iris: it needs vocab_size, which iris does not have", "can be read by: "]],
    ),
    ("data=iris", [["model=textcnn (the default) cannot read data=iris", "softmax_regression"]]),
    ("model=mlp data=imdb", [["model=mlp cannot read data=imdb: it needs in_features", "mlp can read:", "textcnn1d"]]),
    ("model=char_rnn data=movie_reviews", [["model=char_rnn cannot read data=movie_reviews: it needs context_len"]]),
    ("model=textcnn data=characters", [["characters comes with task=causal_lm, which has no num_outputs", "char_rnn"]]),
    ("model=vae data=iris", [["model=vae cannot read data=iris: it needs image_shape"]]),
    ("model=vae task=classification", [["model=vae cannot be trained with task=classification", "variational"]]),
    (
        "model=softmax_regression data=mnist_5k task=variational",
        [["model=softmax_regression cannot be trained with task=variational: that is the task of vae", "Leave task="]],
    ),
    ("task=estimator", [["model=textcnn cannot be trained with task=estimator", "linear_regression, svr, tfidf_lin"]]),
    ("model=mlp data=iris task=regression", [["do not go with task=regression", "no num_targets", "classification"]]),
]


@pytest.mark.parametrize(("command", "expected"), BROKEN, ids=[command for command, _ in BROKEN])
def test_what_does_not_go_together_is_explained(command, expected):
    assert_problems(check(command.split()), expected)
