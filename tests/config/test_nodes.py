"""Nodes of a configuration as plain containers."""

import pytest
from omegaconf import OmegaConf

from runner.config.nodes import as_dict, recordable, targets, walk
from runner.errors import UserError


def test_all_that_is_in_a_node_has_a_place():
    node = {"a": 1, "b": {"c": [2, {"d": None}]}}
    assert [place for place, _ in walk(node)] == ["", "a", "b", "b.c", "b.c[0]", "b.c[1]", "b.c[1].d"]
    assert dict(walk(node, "x"))["x.b.c[0]"] == 2


def test_every_class_that_is_named_is_found():
    node = {"_target_": "A", "inner": [{"_target_": "B"}, {"x": {"_target_": "C"}}]}
    assert list(targets(node)) == [("config", "A"), ("inner[0]", "B"), ("inner[1].x", "C")]


def test_interpolations_stay_unless_they_are_to_be_resolved():
    cfg = OmegaConf.create({"a": 1, "b": "${a}"})
    assert (as_dict(cfg)["b"], as_dict(cfg, resolve=True)["b"]) == ("${a}", 1)


def test_what_comes_from_the_environment_is_not_resolved(monkeypatch):
    monkeypatch.setenv("A_TOKEN", "hidden")
    monkeypatch.setenv("A_RATE", "0.5")
    text = {
        "a": 1,
        "b": "${a}",
        "token": "${oc.env:A_TOKEN}",
        "again": "x-${token}",
        "usual": "${oc.env:NO_SUCH_VARIABLE_HERE,7}",
        "inner": {"list": ["${b}", "${token}", {"rate": "${oc.decode:${oc.env:A_RATE}}"}], "none": None, "open": "???"},
        "copy": "${inner.list}",
        "lists": "${numbers}",
        "numbers": [1, "${a}"],
    }
    cfg = recordable(OmegaConf.create(text))
    left = as_dict(cfg)
    assert (left["b"], left["inner"]["list"][0], left["lists"]) == (1, 1, [1, 1])
    for key in ("token", "again", "usual", "copy"):
        assert left[key] == text[key]
    assert left["inner"]["list"][1:] == text["inner"]["list"][1:]
    assert (cfg.again, cfg.usual, cfg["copy"][2].rate) == ("x-hidden", "7", 0.5)
    assert "hidden" not in OmegaConf.to_yaml(cfg)


def test_a_variable_that_is_not_set_is_named():
    cfg = OmegaConf.create({"data": {"path": "${oc.env:NO_SUCH_VARIABLE_HERE}/x.csv"}, "a": 1})
    with pytest.raises(UserError, match=r"^data\.path: the environment variable NO_SUCH_VARIABLE_HERE is not set: exp"):
        recordable(cfg)
    assert as_dict(recordable(cfg, "a"))["a"] == 1
