"""Nodes of a configuration as plain containers."""

from omegaconf import OmegaConf

from runner.config.nodes import as_dict, targets, walk


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
