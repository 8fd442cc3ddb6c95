"""Values, classes and interpolations of a composed configuration, compared with what the classes take."""

import pytest
from command_problems import assert_problems

from runner.config.command import check

# command -> for each problem, in any order, the fragments that its message holds
BROKEN = [
    # values
    ("trainer.max_epochs=ten", [["trainer.max_epochs=ten: expected int or null", 'text "ten"', "max_epochs=10"]]),
    ("model.num_filters=ten", [["model.num_filters=ten: expected int", "model.num_filters=100"]]),
    ("data.batch_size=1.5", [["data.batch_size=1.5: expected int", "received 1.5"]]),
    ("data.batch_size=16.0", [["expected int", "received 16.0", "data.batch_size=16"]]),
    ("optim.lr=high", [["optim.lr=high: expected float", "optim.lr=0.001"]]),
    ("model.kernel_sizes=3", [["expected a list of int", "model.kernel_sizes=[3]"]]),
    ("model.kernel_sizes=[3,four]", [["expected a list of int", "received [3,four]"]]),
    ("model.embed_dim=null", [["expected int, received null"]]),
    ("model.dropout=true", [["expected float, received true"]]),
    ("trainer.precision=16-mixd", [["trainer.precision=16-mixd", "Did you mean trainer.precision=16-mixed?"]]),
    ("model=mlp data=boston_housing task.loss=mss", [["one of mse, mae, huber", "Did you mean task.loss=mse?"]]),
    ("seed=abc", [["seed=abc: expected int", 'text "abc"']]),
    ("seed=-1", [["seed=-1", "in [0, 4294967295]"]]),
    ("tracking.system_metrics=maybe", [["expected true or false"]]),
    ("tracking.name=5", [["expected text or null, received 5", "tracking.name=\"'5'\""]]),
    ("seed=1,2", [["seed=1,2", "--multirun", "seed=[1,2]"]]),
    ("seed=range(1,3)", [["seed=range(1,3)", "--multirun"]]),
    ("init_from=3 freeze=embedding.*", [["init_from=3: expected text or null"], ["freeze=[embedding.*]"]]),
    ("~callbacks.early_stopping ~callbacks.checkpoint task.mode=mx", [["one of min, max", "task.mode=max?"]]),
    ("~callbacks.early_stopping ~callbacks.checkpoint task.monitor=3", [["task.monitor=3: expected text or null"]]),
    # classes
    ("model._target_=runner.models.textcnn.TextCN", [["textcnn has no TextCN", 'Did you mean "TextCNN"?']]),
    ("optim._target_=torch.optm.Adam", [['no module "torch.optm"', 'Did you mean "optim"?']]),
    ("+callbacks.mine._target_=tourch.Callback", [["+callbacks.mine._target_=tourch.Callback", 'mean "torch"?']]),
    ("+callbacks.mine.patience=3", [["callbacks.mine names no class", "_target_"]]),
    # interpolations and missing values
    ("task.monitor=${task.metric}", [["task.monitor=${task.metric}", "task=classification has no metric"]]),
    (
        "+model.bar=${data.gone}",
        [["needs gone", "movie_reviews does not have"], ["model.bar: runner.models.textcnn.TextCNN takes no bar"]],
    ),
    ("model=mlp data=csv", [["data.path must be typed", "data.path="], ["data.label must be typed"]]),
    ("model=mlp data=csv data.path=gone.csv data.label=y", [["gone.csv"]]),
    ("tracking.uri=${oc.env:NO_SUCH_VARIABLE_HERE}", [["tracking.uri", "NO_SUCH_VARIABLE_HERE"]]),
    (
        "schedule=plateau schedule.mode=${task.mode} model=tfidf_linear",
        [["schedule.mode=${task.mode}", "task=estimator has no mode"]],
    ),
    ("model=textcnn data=hub", [["data.path must be typed"], ["data.text must"], ["data.label must"]]),
]


@pytest.mark.parametrize(("command", "expected"), BROKEN, ids=[command for command, _ in BROKEN])
def test_what_does_not_fit_is_explained(command, expected):
    assert_problems(check(command.split()), expected)


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("model=mlp data.label=kind", []),
        ("model=textcnn data.label=kind data.text=note", []),
        ("model=mlp data.label=size task=regression", []),
        ("model=mlp data.label=kidn", [['no column "kidn"', 'Did you mean "kind"?']]),
        ("model=textcnn data.label=kind", [["model=textcnn cannot read data=csv: it needs vocab_size", "data.text="]]),
        ("model=mlp data.label=kind data.text=note", [["model=mlp cannot read data=csv: it needs in_features"]]),
    ],
)
def test_a_users_table_is_looked_into(tmp_path, monkeypatch, command, expected):
    monkeypatch.setenv("RUNNER_CACHE", str(tmp_path / "cache"))
    rows = [f"{size},{size % 3},{'ab'[size % 2]},word number {size}" for size in range(12)]
    (tmp_path / "flowers.csv").write_text("\n".join(["size,width,kind,note", *rows]) + "\n")
    found = check(["data=csv", f"data.path={tmp_path / 'flowers.csv'}", *command.split()])
    assert_problems(found, expected)
