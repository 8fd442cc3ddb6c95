"""The catalog says what Hydra would do, and prints it so that it can be read and searched."""

from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from runner.config import catalog
from runner.config.catalog import Catalog, config_path, folders, needed
from runner.config.inferred import register_resolvers
from runner.errors import UserError
from runner.verbs.listing import list_text, show_text

BUILT_IN = Catalog(folders())


@pytest.fixture(scope="module")
def composition():
    """Hydra on the real folder; every `${infer...}` of a user's table holds, as in the catalog; all is installed."""
    names = ("infer", "infer_hub", "packaged_model")
    for name in names:
        OmegaConf.register_new_resolver(name, lambda *fact: 1, replace=True)
    with initialize_config_dir(str(config_path()), version_base="1.3"):
        yield lambda overrides: compose("config", overrides=overrides)
    for name in names:
        OmegaConf.clear_resolver(name)
    register_resolvers()


@pytest.mark.parametrize("data", BUILT_IN.choices("data"))
def test_the_table_of_pairs_equals_what_hydra_composes(composition, data):
    def resolves(model: str) -> bool:
        cfg = composition([f"model={model}", f"data={data}"])
        with open_dict(cfg):  # what a model brings along for its data does not make it readable
            for key in set(cfg.data) - set(BUILT_IN.node("data", data)):
                del cfg.data[key]
        for key, value in cfg.data.items_ex(resolve=False):
            if str(value) == "???":
                cfg.data[key] = "given"
        try:
            OmegaConf.resolve(cfg.model), OmegaConf.resolve(cfg.task)
        except OmegaConfBaseException:
            return False
        node = BUILT_IN.node("model", model)
        source, task = BUILT_IN.node("data", data), BUILT_IN.override("model", model, "task")
        known = catalog.noted(node, "takes") | catalog.noted(node, "reads")
        known |= catalog.noted(BUILT_IN.node("task", task), "takes") if task else set()
        if not (catalog.noted(node, "takes") <= catalog.given(source) and catalog.noted(source, "asks") <= known):
            return False
        either = catalog.alternatives(node)
        return not either or any(cfg.data.get(fact) is not None for fact in either)

    models = BUILT_IN.choices("model")
    some = models[BUILT_IN.choices("data").index(data) % 8 :: 8]  # composing takes a tenth of a second
    assert [model for model in some if model in BUILT_IN.readers(data)] == [model for model in some if resolves(model)]
    assert [model for model in models if data in BUILT_IN.readable(model)] == BUILT_IN.readers(data)


def test_one_of_several_facts_is_enough():
    node = {"a": "${oc.select:data.x,null}", "b": ["${oc.select:data.y, null}"], "c": "${oc.select:data.z,5}"}
    assert catalog.alternatives(node) == {"x", "y"} and needed(node, "data") == set()
    assert {"movie_reviews", "har"} <= set(BUILT_IN.readable("lstm"))
    assert "iris" not in BUILT_IN.readable("lstm")


@pytest.mark.parametrize(
    ("node", "facts"),
    [
        ({"a": "${data.x}", "b": {"c": ["${data.y}", "${task.z}"]}}, {"x", "y"}),
        ({"a": "${data.shape[0]}", "b": "${sum:${data.p},1}", "c": "data.q"}, {"shape", "p"}),
        ({"a": 1, "b": None}, set()),
    ],
)
def test_needed_facts(node, facts):
    assert needed(node, "data") == facts


def test_every_choice_opens_with_its_line_and_command():
    for group in BUILT_IN.groups:
        for name in BUILT_IN.choices(group):
            assert BUILT_IN.summary(group, name).endswith("."), (group, name)
            assert BUILT_IN.example(group, name).startswith("runner "), (group, name)


# other folders


def test_words_say_what_no_key_says(tmp_path):
    """Data that `gives` what a model or its task `takes` can be read, and only they."""
    files = {
        "model/compared.yaml": "_target_: my_code.Net\ntakes: twins\nvocab_size: ${data.vocab_size}\n",
        "model/plain.yaml": "_target_: my_code.Net\ndefaults:\n  - override /task@_global_.task: contrast\n",
        "task/contrast.yaml": "_target_: my_code.Task\ntakes: [twins, words]\n",
        "data/one.yaml": "_target_: my_code.Data\nvocab_size: 9\n",
        "data/two.yaml": "_target_: my_code.Data\ngives: twins\nvocab_size: 9\nnum_classes: 2\n",
        "data/three.yaml": "defaults: [two]\ngives: [words, twins]\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    found = Catalog([*folders(), tmp_path])
    assert found.readable("compared") == ["three", "two"] and found.readable("plain") == ["three"]
    assert "textcnn" not in found.readers("one") and "textcnn" in found.readers("two")


def test_data_that_ask_for_a_kind_of_model_are_offered_to_no_other():
    assert BUILT_IN.readers("rte") == ["bert", "pretrained"], "plain nets know of no segments"
    assert not {"conll2003", "conll", "aspect_terms", "trees", "rte"} & set(BUILT_IN.readable("textcnn"))
    assert {"lstm_tagger"} <= set(BUILT_IN.readers("conll2003")) and "movie_reviews" in BUILT_IN.readable("pretrained")
    assert BUILT_IN.readers("trees") == ["recursive_nn", "tree_lstm"]
    inferred = {"asks": "${infer:asks}", "gives": ["a", "b"]}
    assert catalog.noted(inferred, "asks") == set() and catalog.given(inferred) == {"a", "b"}


def test_tiny_overrides_stand_in_a_comment(tmp_path):
    (tmp_path / "model").mkdir()
    text = "# A net.\n# runner model=wide\n# tiny: model.width=4 model.dims=[2,2]\nwidth: 512\n"
    (tmp_path / "model" / "wide.yaml").write_text(text)
    (tmp_path / "model" / "deep.yaml").write_text("# tiny: data.max_len=8\ndefaults: [wide]\n")
    found = Catalog([tmp_path])
    assert found.tiny("wide") == ["model.width=4", "model.dims=[2,2]"]
    assert found.tiny("deep") == ["model.width=4", "model.dims=[2,2]", "data.max_len=8"]
    assert (
        found.summary("model", "wide") == "A net."
        and "tiny:" not in show_text("wide", [tmp_path]).split("Arguments")[0]
    )
    assert BUILT_IN.tiny("softmax_regression") == []


@pytest.fixture
def own(tmp_path):
    files = {
        "model/mine.yaml": "# @package model\n# My net.\n_target_: my_code.Net\nwidth: ${data.in_features}\n",
        "model/textcnn.yaml": "# Hydra takes the packaged file of this name.\n_target_: my_code.Net\n",
        "model/broken.yaml": "_target_: [\n",
        "data/more.yaml": "# More flowers.\ndefaults:\n  - iris\nnum_classes: 4\npath: ???\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def test_a_users_folder_joins_in(own):
    assert "mine" in catalog.choices("model", [own]) and "mine" not in BUILT_IN.choices("model")
    found = Catalog(folders([own]))
    assert found.summary("model", "mine") == "My net."
    assert found.summary("model", "textcnn") == BUILT_IN.summary("model", "textcnn")
    assert {"iris", "mnist_5k", "more"} <= set(found.readable("mine"))
    assert "mlp" in found.readers("more")  # in_features comes from the file it builds on
    assert "data=more" in list_text("models", [own])
    assert "My net." in show_text("mine", [own])
    with pytest.raises(UserError, match=r"broken.yaml.*line 2"):
        show_text("broken", [own])


def test_an_installed_package_joins_in(tmp_path, monkeypatch):
    """A package may contribute choices through Hydra's search path plugins."""
    (tmp_path / "hydra_plugins").mkdir()
    (tmp_path / "guest" / "conf" / "data").mkdir(parents=True)
    (tmp_path / "guest" / "__init__.py").write_text("class Tides:\n    def __init__(self, days: float): ...\n")
    (tmp_path / "guest" / "conf" / "__init__.py").write_text("")
    (tmp_path / "guest" / "conf" / "data" / "tides.yaml").write_text("# Tides.\n_target_: guest.Tides\ndays: 3\n")
    (tmp_path / "hydra_plugins" / "guest_path.py").write_text(
        "from hydra.plugins.search_path_plugin import SearchPathPlugin\n"
        "class GuestPath(SearchPathPlugin):\n"
        "    def manipulate_search_path(self, search_path):\n"
        "        search_path.append('guest', 'pkg://guest.conf')\n"
    )
    code = (
        "from runner.config import catalog; from runner.config.command import check\n"
        "print('tides' in catalog.choices('data'), catalog.Catalog(catalog.folders()).summary('data', 'tides'))\n"
        "print(*check(['data=tides', 'data.days=x', 'allow=[guest]']), sep='\\n')\n"
    )
    from programs import run_python

    monkeypatch.setenv("EXTRA_PATH", str(tmp_path))
    done = run_python("import os, sys; sys.path.insert(0, os.environ['EXTRA_PATH'])\n" + code)
    assert done.stdout.startswith("True Tides.\n"), done.stdout
    assert "cannot read data=tides" in done.stdout and "data.days=x: expected float" in done.stdout


def test_the_packaged_folder_is_found():
    assert (config_path() / "config.yaml").is_file()
    assert folders([Path("mine")])[-1] == Path("mine")
