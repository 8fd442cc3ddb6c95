"""Broken commands are explained before anything heavy is imported; good ones print nothing."""

import importlib

import pytest
from command_problems import assert_problems
from programs import run_python

from runner.config.catalog import Catalog, folders
from runner.config.command import check
from runner.config.findings import Findings

ALLOWED = Findings(Catalog(folders()), []).allowed  # names the choices, or the command that lists them if they are many
HEAVY = ("torch", "pytorch_lightning", "lightning", "mlflow", "sklearn", "pandas")

# command -> for each problem, in any order, the fragments that its message holds
BROKEN = [
    # syntax
    ("textcnn", [["textcnn: expected KEY=VALUE", "model=textcnn"]]),
    ("nonsense", [["nonsense: expected KEY=VALUE", "For example: model=textcnn"]]),
    ("model.hidden_dims=[0.1", [["model.hidden_dims=[0.1", "not a valid override", "Quote"]]),
    ("=textcnn", [["=textcnn", "not a valid override"]]),
    # choices
    ("model=textcn", [["model=textcn:", 'called "textcn"', 'Did you mean "textcnn"?', ALLOWED("model")]]),
    ("data=moviereviews", [["data=moviereviews:", 'Did you mean "movie_reviews"?', "runner list data"]]),
    ("optim=adamm", [['Did you mean "adam"?', ALLOWED("optim")]]),
    ("model=imdb", [['no model called "imdb"', "Did you mean data=imdb?"]]),
    ("model=null", [["model=null: null is not a choice", ALLOWED("model")]]),
    ("experiment=null", [["Write ~experiment to leave it out"]]),
    ("+model=textcn", [["+model=textcn", 'Did you mean "textcnn"?']]),
    ("+model=textcnn", [["+model=textcnn", "write model=textcnn without +"]]),
    ("++model=textcnn", [["++model=textcnn", "write model=textcnn without +"]]),
    ("~model", [["A run needs model", ALLOWED("model")]]),
    ("~data.nothing", [["~data.nothing", "has no key nothing"]]),
    # keys
    ("modle=textcnn", [["modle=textcnn: there is no modle", 'Did you mean "model"?', "callbacks, data"]]),
    ("+modle=textcnn", [["+modle=textcnn", "nothing reads", "Did you mean model=textcnn?"]]),
    ("lr=0.1", [["lr=0.1: there is no lr", "Did you mean optim.lr?"]]),
    ("max_epochs=3", [["Did you mean trainer.max_epochs?"]]),
    ("model.num_filter=10", [["model=textcnn has no key num_filter", 'Did you mean "num_filters"?', "embed_dim"]]),
    ("trainer.max_time=00:01:00:00", [["trainer=default does not list max_time", "+trainer.max_time=00:01:00:00"]]),
    ("+trainer.max_epoch=3", [["pytorch_lightning.Trainer takes no max_epoch", 'Did you mean "max_epochs"?']]),
    ("+model.num_filters=10", [["already there", "write model.num_filters=10 without +"]]),
    ("+trainer.logger=false", [["+trainer.logger=false", "runner sets logger itself"]]),
    ("+tracking.experimnt=a", [["nothing reads this key", 'Did you mean "tracking.experiment"?']]),
    ("~model.vocab_size", [["runner.models.textcnn.TextCNN needs vocab_size", "+model.vocab_size="]]),
    ("seed.x=1", [["seed.x=1", "single value"]]),
    ("optim.momentum=0.9", [["optim=adam has no key momentum", "lr"]]),
    # several at once
    (
        "model=mlp data=imdb optim=adamm trainer.max_epochs=ten modle=x seed=1,2",
        [["mlp cannot read data=imdb"], ["adamm"], ["max_epochs=ten"], ["modle=x"], ["seed=1,2"]],
    ),
]


@pytest.mark.parametrize(("command", "expected"), BROKEN, ids=[command for command, _ in BROKEN])
def test_broken_commands_are_explained(command, expected):
    assert_problems(check(command.split()), expected)


GOOD = [
    "",
    "model=textcnn data=movie_reviews",
    "model=textcnn1d data=imdb trainer=debug seed=7",
    "model=mlp data=boston_housing model.hidden_dims=[10,8] optim.lr=1",
    "model=vae task.kl_weight=4",
    "model=gan",
    "model=char_rnn data.max_chars=null",
    "model=tfidf_linear",
    "model=linear_regression",
    "model=softmax_regression",
    "experiment=ch07_textcnn model.num_filters=20",
    "~experiment",
    "~callbacks.early_stopping",
    "~model.dropout",
    "callbacks.early_stopping=null",
    "callbacks.early_stopping.patience=null",
    "optim=sgd optim.momentum=0.9 schedule=cosine schedule.warmup=0.1",
    "+optim.betas=[0.9,0.99]",
    "+trainer.max_time=00:01:00:00 trainer.devices=[0,1] trainer.precision=bf16-mixed trainer.strategy=ddp",
    "+trainer.limit_train_batches=0.5",
    "+callbacks.rate._target_=pytorch_lightning.callbacks.LearningRateMonitor",
    "+note=anything ++seed=3 tracking.name=${note}",
    "init_from=last freeze=[embedding.*]",
    "task.monitor=null task.mode=max",
    "tracking.uri=http://127.0.0.1:5000 tracking.name=first",
    "hydra.verbose=true hydra/job_logging=disabled hydra.run.dir=here",
    "tracking.name=${hydra:runtime.choices.model}",
    "model=textcnn data=iris model.vocab_size=100",
    "model=textcnn data=hub data.path=somewhere/else data.text=a data.label=b",
]


@pytest.mark.parametrize("command", GOOD)
def test_good_commands_pass(command):
    assert check(command.split()) == []


MULTIRUN = [
    ("seed=1,2,3", []),
    ("seed=range(1,4) model=textcnn,textcnn1d", []),
    ("model=choice(mlp,softmax_regression) data=iris,mnist_5k", []),
    ("data=glob(i*) model=mlp", [["model=mlp cannot read data=imdb"]]),
    ("model=textcnn,textcn", [["model=textcn:", 'Did you mean "textcnn"?']]),
    ("model=glob(zzz*)", [["holds no value", ALLOWED("model")]]),
    ("seed=1,two,3", [["seed=two", "expected int"]]),
    ("model.embed_dim=10,x seed=1,2,3,y", [["model.embed_dim=x"], ["seed=y"]]),
    ("model=textcnn,mlp model.num_filters=10", [["model.num_filters=10", "model=mlp has no key num_filters"]]),
    ("model=vae,mlp data=mnist_5k task=classification", [["model=vae cannot be trained with task=classification"]]),
    ("optim.lr=interval(0,1)", [["a grid needs single values", "sweep=random"]]),
    ("optim.lr=interval(0,1) sweep=random", []),
    ("optim.lr=interval(0,1) hydra/sweeper=basic", []),
    ("sweep=textcnn sweep.trials=5", []),
    (
        "sweep=textcnn model=mlp",
        [
            ["model.num_filters=50", "model=mlp has no key num_filters"],
            ["model.kernel_sizes=[3,4,5]", "model=mlp has no key kernel_sizes"],
        ],
    ),
    ("sweep=random", [["sweep=random: there is nothing to vary"]]),
    (
        "sweep=optuna optim.lr=0.1,0.2 sweep.sampler=tpee sweep.pruner=SuccessiveHalvingPruner",
        [["sweep.sampler=tpee", 'Did you mean "tpe"?']],
    ),
    (
        "sweep=optuna optim.lr=0.1,0.2 +sweep.sampler_options.seeed=1 sweep.pruner=none",
        [["sampler_options.seeed", "takes no seeed", 'Did you mean "seed"?']],
    ),
    ("seed=1,2 sweep.trials=5", [["sweep=grid has no key trials"]]),
    (
        "seed=1,2 sweep.jobs=many sweep.on_error=stopp",
        [["sweep.jobs=many"], ["sweep.on_error=stopp", "on_error=stop?"]],
    ),
    ("seed=1,2 sweep=grid,random", [["sweep=grid,random", "single value"]]),
    ("seed=1,2 resume=last", [["resume=last", "resume_sweep=NAME"]]),
    ("seed=1,2 sweep=gird", [["sweep=gird", 'Did you mean "grid"?']]),
    ("optim=adam,sgd optim.lr=0.1,0.2", []),
]


@pytest.mark.parametrize(("command", "expected"), MULTIRUN, ids=[command for command, _ in MULTIRUN])
def test_every_value_of_a_sweep_is_checked_once(command, expected):
    for found in (check(command.split(), multirun=True), check([*command.split(), "hydra.mode=MULTIRUN"])):
        assert_problems(found, expected)


def test_a_large_sweep_is_checked_by_a_sample():
    assert check(["seed=range(0,5000)", "model=textcnn,textcnn1d"], multirun=True) == []


# A user's own folder


OWN_CODE = """
import torch_is_not_needed_to_read_this
from typing import Literal

class Net(torch_is_not_needed_to_read_this.Module):
    def __init__(self, vocab_size: int, num_outputs: int, mode: Literal["slow", "fast"] = "slow", width: int = 8): ...

class Task:
    def __init__(self, net, num_outputs: int, weight: float = 1.0): ...

class Callback:
    def __init__(self, every: int, names: list[str] | None = None): ...
"""


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A folder with a model, a task and an experiment of a user, and the classes they name."""
    (tmp_path / "own_check_code.py").write_text(OWN_CODE)
    monkeypatch.syspath_prepend(tmp_path)
    files = {
        "model/mine.yaml": "# My net.\n_target_: own_check_code.Net\nvocab_size: ${data.vocab_size}\n"
        "num_outputs: ${task.num_outputs}\nmode: fast\n",
        "model/typo.yaml": "_target_: own_check_code.Net\nvocab_sise: 3\n"
        "vocab_size: ${data.vocab_size}\nnum_outputs: 2\n",
        "model/missing.yaml": "_target_: own_check_code.Net\nvocab_size: ${data.vocab_size}\n",
        "model/broken.yaml": "_target_: [\n",
        "model/lost.yaml": "defaults:\n  - override /data@_global_.data: no_such_data\n_target_: own_check_code.Net\n",
        "task/mine.yaml": "_target_: own_check_code.Task\nnum_outputs: ${data.num_classes}\n",
        "task/watched.yaml": "_target_: own_check_code.Task\nnum_outputs: 2\nmonitor: val/loss\nmode: max\n",
        "data/twins.yaml": "defaults: [movie_reviews]\ngives: [twins]\n",
        "model/twins.yaml": "defaults: [mine]\ntakes: twins\n",
        "data/both.yaml": "defaults: [movie_reviews]\nasks: twins\n",
        "model/either.yaml": "defaults: [mine]\nreads: [twins, others]\n",
        "experiment/quiet.yaml": "# @package _global_\ndefaults:\n  - override /model@_global_.model: mine\n"
        "  - override /hydra/job_logging: none\nseed: 5\n",
        "extra/one.yaml": "a: 1\n",
    }
    for name, text in files.items():
        (tmp_path / "conf" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "conf" / name).write_text(text)
    importlib.invalidate_caches()
    return str(tmp_path / "conf")


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("model=mine", []),
        ("model=mine data=imdb +model.width=4 task=mine task._target_=own_check_code.Task", []),
        ("model=vae task=mine data=mnist_5k", []),  # a class of the user may train any model
        ("model=mine task=estimator", [["that is the task of linear_regression", "/task@_global_.task: estimator"]]),
        ("experiment=quiet", []),
        ("model=mine task=watched task.monitor=null", []),
        ("model=twins data=twins", []),
        ("model=mine data=twins", []),
        ("model=twins data=both", []),
        ("model=either data=both", []),
        ("model=either data=imdb", []),
        ("model=mine data=both", [["model=mine cannot read data=both: that is for", "read twins: either, twins."]]),
        (
            "model=twins data=imdb",
            [["needs twins, which imdb does not have", "read by", "twins can read: both, twins."]],
        ),
        ("model=twins data=twins data.gives=[5]", [["it needs twins"], ["expected text or a list of text or null"]]),
        ("+extra=one extra.a=2", []),
        ("+callbacks.mine._target_=own_check_code.Callback +callbacks.mine.every=3", []),
        ("+callbacks.mine={_target_:own_check_code.Callback,every:3,names:[a]}", []),
        ("model=mien", [['Did you mean "mine"?']]),
        ("model=mine data=iris", [["model=mine cannot read data=iris", "mine can read:", "imdb"]]),
        ("model=mine model.mode=fats", [["one of slow, fast", "Did you mean model.mode=fast?"]]),
        ("model=mine model.width=4", [["model=mine does not list width", "+model.width=4"]]),
        ("model=typo", [["own_check_code.Net takes no vocab_sise", 'Did you mean "vocab_size"?']]),
        ("model=missing", [["own_check_code.Net needs num_outputs", "+model.num_outputs="]]),
        ("model=broken", [["broken.yaml", "line 2"]]),
        ("model=lost", [["no_such_data"]]),
        ("extra=one", [["extra=one", "+extra=one"]]),
        ("task=mine task.weigth=2", [["task=mine has no key weigth", 'Did you mean "weight"?']]),
        ("+callbacks.mine._target_=own_check_code.Callbak", [["has no Callbak", 'Did you mean "Callback"?']]),
        ("+callbacks.mine._target_=own_check_code.Callback", [["callbacks.mine", "needs every"]]),
        ("+callbacks.mine={_target_:own_check_code.Callback,every:x}", [["callbacks.mine.every=x", "expected int"]]),
    ],
)
def test_a_users_own_choices_and_classes(own, command, expected):
    found = check(command.split(), own)
    assert_problems(found, expected)


def test_a_config_dir_that_does_not_exist():
    assert check([], "no/such/folder") == ["--config-dir no/such/folder: there is no such folder."]


# Cost


def test_nothing_heavy_is_imported():
    done = run_python(
        "import sys\nfrom runner.config.command import check\nfrom runner.verbs.listing import list_text, show_text\n"
        "check(['model=textcnn', 'data=iris', 'trainer.max_epochs=ten'])\n"
        "check(['model=mlp', 'data=csv', 'data.path=gone.csv', 'data.label=y'])\n"
        "list_text(), show_text('textcnn'), show_text('tfidf_linear')\n"
        f"print(sorted(set({HEAVY!r}) & set(sys.modules)))"
    )
    assert done.stdout.strip() == "[]"
