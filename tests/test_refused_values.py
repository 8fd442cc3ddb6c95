"""Values that cannot be, each as one may type it: one sentence and exit code 2, before anything is trained.

The commands of the first table are refused by the configuration alone, before torch is imported; those of the second
when the run builds its objects, before a step is made; those of the third by Hydra or by the place where the run would
write, so that they go through the real command.
"""

import shlex

import pytest
from command_problems import assert_problems
from programs import run_python
from small_runs import settings
from test_cli import TINY, run

from runner.config.bounds import stated
from runner.config.catalog import Catalog, folders
from runner.config.command import check
from runner.config.signatures import describe_arguments, find
from runner.errors import UserError
from runner.training.train import train

# what is typed -> fragments of the sentence
BY_THE_CONFIGURATION = {
    # optimizers and schedules
    "optim.lr=-1": ["optim.lr=-1: expected a number of at least 0, received -1. For example: optim.lr=0.001"],
    "optim.lr=nan": ["at least 0, received nan"],
    "optim.lr=inf": ["at least 0, received inf"],
    "optim.lr=[0.1]": ["expected float, received [0.1]"],
    "optim=momentum optim.momentum=-1": ["optim.momentum=-1: expected a number in [0, 1)"],
    "optim=adam +optim.betas=[0.9,1.5]": ["expected only numbers in [0, 1), received [0.9,1.5]"],
    "optim=ftrl optim.l1=-1": ["optim.l1=-1: expected a number of at least 0"],
    "optim=rmsprop_nesterov optim.decay=1": ["in [0, 1)"],
    "task=optimizers task.optimizers.adam.lr=-1": ["task.optimizers.adam.lr=-1: expected a number of at least 0"],
    "schedule=step schedule.factor=2": ["schedule.factor=2: expected a number in (0, 1], received 2"],
    "schedule=step schedule.every=0": ["schedule.every=0: expected a number of at least 1"],
    "schedule=plateau schedule.factor=2": ["in (0, 1)"],
    "schedule=plateau schedule.patience=-1": ["at least 0"],
    "schedule=cosine schedule.warmup=1.0": ["in [0, 1)"],
    "schedule=linear schedule.warmup=3": ["in [0, 1)"],
    "schedule=inverse_sqrt schedule.warmup=-0.1": ["in [0, 1)"],
    "schedule=warmup schedule.share=1": ["in [0, 1)"],
    "schedule=warmup schedule.then=sine": ["one of constant, cosine, linear, inverse_sqrt"],
    "schedule=one_cycle schedule.climb=0": ["in (0, 1)"],
    # the trainer
    "trainer.max_epochs=-5": ["trainer.max_epochs=-5: expected a number of at least 1"],
    "trainer.max_epochs=-1": ["at least 1"],
    "trainer.max_epochs=0": ["at least 1"],
    "+trainer.max_steps=-5": ["+trainer.max_steps=-5: expected a number of at least 1"],
    "trainer.devices=0": ["expected how many, at least 1, or which, such as [0,1]"],
    "trainer.devices=-2": ["how many, at least 1"],
    "trainer.devices=[]": ["how many, at least 1"],
    "trainer.devices=[0,0]": ["how many, at least 1"],
    "trainer.devices=0,1": ["for a list write trainer.devices=[0,1]"],
    "trainer.devices='\"0,1\"'": ["expected auto or int or a list of int"],
    "trainer.devices=x": ["expected auto or int or a list of int", 'text "x"'],
    "trainer.accelerator=CPU": ["Did you mean trainer.accelerator=cpu?"],
    "trainer.accelerator=''": ["one of auto, cpu, gpu, cuda, mps, tpu"],
    "trainer.strategy=ddp_spawn": ["trainer.strategy=ddp_spawn: expected one of auto, ddp"],
    "trainer.strategy=nonsense": ["one of auto, ddp"],
    "trainer.log_every_n_steps=0": ["at least 1"],
    "trainer.gradient_clip_val=nan": ["at least 0, received nan"],
    "trainer.gradient_clip_val=-1": ["at least 0"],
    "trainer.gradient_clip_algorithm=foo": ["one of norm, value or null"],
    "+trainer.accumulate_grad_batches=0": ["at least 1"],
    "+trainer.accumulate_grad_batches=-1": ["at least 1"],
    "+trainer.num_nodes=0": ["at least 1"],
    "+trainer.val_check_interval=0": ["above 0"],
    "+trainer.limit_train_batches=0": ["above 0"],
    "+trainer.enable_checkpointing=false": ["runner sets enable_checkpointing itself"],
    # data, callbacks, objectives, models, augmentation, regularisation
    "data.batch_size=0": ["at least 1"],
    "data.batch_size=99999999999999999999": ["a number of at most 64 bits"],
    "data.split_seed=-1": ["at least 0"],
    "+data.test_share=1": ["in (0, 1)"],
    "model=textcnn data=movie_reviews data.max_len=0": ["data.max_len=0: expected a number of at least 1"],
    "model=textcnn data=movie_reviews data.max_len=-1": ["at least 1"],
    "model=char_rnn data=characters data.context_len=0": ["at least 1"],
    "model=word_lm data=corpus data.context_len=0": ["at least 1"],
    "model=word_lm data=corpus data.max_words=0": ["at least 1"],
    "model=word_lm data=corpus data.view=lines": ["one of windows, stream, sentences, contexts"],
    "model=word_lm data=corpus data.document=page": ["one of line, paragraph, file"],
    "model=seq2seq data=reverse data.letters=27": ["in [1, 26]"],
    "model=seq2seq data=reverse data.max_len=0": ["at least 1"],
    "model=seq2seq data=reverse +data.batch_tokens=0": ["at least 1"],
    "model=seq2seq data=reverse task.label_smoothing=1": ["in [0, 1)"],
    "model=seq2seq data=reverse task.scheduled_sampling=1.5": ["in [0, 1]"],
    "model=seq2seq data=reverse task.val_rows=0": ["at least 1"],
    "model=skipgram data=corpus task.nearest=0": ["at least 1"],
    "model=skipgram data=corpus task.map=umap": ["one of pca, tsne"],
    "model=lstm data=stocks data.num_targets=0": ["at least 1"],
    "model=linear_regression data=noisy_sine data.noise=-1": ["at least 0"],
    "model=quadratic data=quadratic data.steps=0": ["at least 1"],
    "callbacks.early_stopping.patience=-1": ["at least 0"],
    "callbacks.checkpoint.every_n_steps=-1": ["at least 1"],
    "callbacks.checkpoint.every_n_minutes=0": ["above 0"],
    "model.dropout=1": ["in [0, 1)"],
    "task.label_smoothing=2": ["in [0, 1]"],
    "regularise.l2=-1": ["at least 0"],
    "model=cnn data=mnist_5k augment=images augment.rotate.degrees=-1": ["at least 0"],
    # keys that nothing reads, choices that are not there, too many runs
    "+foo=1": ["+foo=1: nothing reads this key"],
    "+foo.bar=1": ["nothing reads this key"],
    "++foo=1": ["nothing reads this key"],
    "hydra/sweeper=nope": ['there is no hydra/sweeper called "nope"', "basic, runner"],
    "hydra/launcher=bsic": ['Did you mean "basic"?'],
    "-m seed=range(0,100000000)": ["at most 10000 runs, and this one has 100000000", "sweep.trials=100"],
    "-m seed=range(0,200) data.split_seed=range(0,200)": ["at most 10000 runs, and this grid has 40000"],
    "-m sweep=random sweep.trials=100000000 seed=1,2": ["sweep.trials=100000000", "in [1, 10000]"],
}
BY_THE_RUN = {
    "trainer.accelerator=tpu": ["trainer (pytorch_lightning.Trainer)", "torch_xla"],
    "trainer.precision=transformer-engine": ["trainer (pytorch_lightning.Trainer)", "transformer_engine"],
    "trainer.strategy=deepspeed": ["trainer (pytorch_lightning.Trainer)", "(received trainer.strategy=deepspeed)"],
    "trainer.strategy=fsdp": ["requires a GPU", "received trainer.accelerator=cpu, trainer.strategy=fsdp"],
    "trainer.devices=99": ["trainer.devices=99: this machine has CPU cores for"],
    "trainer.devices=99 trainer.accelerator=auto": ["this machine has"],
    "+trainer.barebones=true": ["trainer.barebones=true"],
    "model.hidden_dims=[999999999999]": ["model (runner.models.mlp.MLP): ", "allocate"],
    "optim=adamw +optim.fused=true +optim.foreach=true": ["optim (torch.optim.AdamW)", "optim.fused=true"],
    "task.loss={_target_: torch.nn.HuberLoss, delta: 1}": ["task.loss (torch.nn.HuberLoss): "],
    "regularise.layers=[nope]": ["regularise.layers: MLP has no layer 'nope'. Its layers: "],
    "regularise.activation_layers=[nope]": ["regularise.activation_layers: MLP has no layer 'nope'"],
}
BY_THE_PLACE = {
    "--config-name=foo": ["--config-name: the file is always config.yaml"],
    "--config-path=/etc": ["--config-path: the file is always config.yaml"],
    "--resolve": ["--resolve"],
    "hydra.run.dir={file}/x": ["/file/x cannot be written", "hydra.run.dir=FOLDER"],
    "-m seed=1,2 hydra.sweep.dir={file}/x": ["/file/x cannot be written", "hydra.sweep.dir=FOLDER"],
    "tracking.uri=sqlite:///{file}/x.db": ["the run cannot be recorded in sqlite:///", "another tracking.uri"],
    "trainer.precision=transformer-engine": ["trainer (pytorch_lightning.Trainer)", "transformer_engine"],
}


@pytest.mark.parametrize(("command", "fragments"), BY_THE_CONFIGURATION.items(), ids=list(BY_THE_CONFIGURATION))
def test_the_configuration_alone_shows_it(command, fragments):
    words = [word for word in shlex.split(command) if word != "-m"]
    words = [*([] if "model=" in command else ["model=mlp"]), *([] if "data=" in command else ["data=iris"]), *words]
    assert_problems(check(words, multirun="-m" in command), [fragments])


def test_nothing_heavy_is_imported_for_it():
    found = run_python(
        "import sys\n"
        "from runner.config.command import check\n"
        "assert check(['model=mlp', 'data=iris', 'optim.lr=-1', 'trainer.max_epochs=0', 'hydra/launcher=nope'])\n"
        "print(sorted({'torch', 'pytorch_lightning', 'mlflow'} & set(sys.modules)))"
    )
    assert found.stdout.strip() == "[]"


@pytest.mark.parametrize(("command", "fragments"), BY_THE_RUN.items(), ids=list(BY_THE_RUN))
def test_the_run_shows_it_before_it_trains(command, fragments, tmp_path):
    words = shlex.split(command) if "{" not in command else [command]
    cfg = settings("mlp", "data=iris", *words)
    with pytest.raises(UserError) as refused:
        train(cfg, tmp_path)
    said = str(refused.value)
    assert not [fragment for fragment in fragments if fragment not in said], said
    assert len(said) < 600 and "\n" not in said
    assert not list(tmp_path.rglob("*.ckpt")), "nothing was trained"


def test_the_machine_is_asked_before_the_data_are_read(tmp_path):
    cfg = settings("textcnn", f"data.path={tmp_path}/gone", "trainer.strategy=fsdp")
    with pytest.raises(UserError, match="fsdp"):
        train(cfg, tmp_path)


@pytest.mark.parametrize(("command", "fragments"), BY_THE_PLACE.items(), ids=list(BY_THE_PLACE))
def test_the_real_command_says_it(command, fragments, tmp_path):
    (tmp_path / "file").write_text("where a folder would be needed")
    typed = shlex.split(command.format(file=tmp_path / "file"))
    flags = [word for word in typed if word.startswith("-")]
    _, said = run(tmp_path, *flags, *TINY, *(word for word in typed if word not in flags), code=2)
    lines = [line for line in said.splitlines() if line.startswith("runner: ")]
    assert len(lines) == 1 and "Traceback" not in said, said
    assert not [fragment for fragment in fragments if fragment not in lines[0]], said
    assert not list(tmp_path.glob("**/metrics.json"))


def test_every_dataset_says_how_large_a_batch_may_be():
    catalog = Catalog(folders())
    for name in catalog.choices("data"):
        target = catalog.node("data", name)["_target_"]
        meaning = describe_arguments(find(target).doc)["batch_size"]
        assert stated(target, "batch_size", meaning) == "at least 1", name


OWN = """
import torch

class Picky(torch.optim.SGD):
    def __init__(self, params, lr: float = 0.1, colour: str = "red"):
        '''Descend.

        Args:
            params: of the net.
            lr: learning rate, in (0, 0.5].
            colour: of the optimizer.
        '''
        if colour == "green":
            raise ValueError("green is not a colour of optimizers")
        if colour == "blue":
            colour + 1
        if colour == "slip":
            colour.paint()
        super().__init__(params, lr=lr)
"""


def test_an_optimizer_of_ones_own(tmp_path, monkeypatch):
    """What its docstring states is checked early, what it raises names the node, and a slip of its author is no one
    else's mistake."""
    (tmp_path / "picky_optimizers.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    own = ["optim._target_=picky_optimizers.Picky", "+optim.colour=red"]
    found = check(["model=mlp", "data=iris", "allow=[picky_optimizers]", "optim.lr=0.7", *own])
    assert len(found) == 1 and "optim.lr=0.7: expected a number in (0, 0.5]" in found[0]

    def refused(colour: str, kind: type[Exception]) -> str:
        with pytest.raises(kind) as caught:
            train(settings("mlp", "allow=[picky_optimizers]", own[0], f"+optim.colour={colour}"), tmp_path)
        return str(caught.value)

    assert refused("green", UserError) == (
        "optim (picky_optimizers.Picky): green is not a colour of optimizers (received optim.colour=green)"
    )
    assert refused("blue", UserError).endswith("; --debug shows where"), "a value of a wrong type, or a slip"
    assert "paint" in refused("slip", AttributeError)
