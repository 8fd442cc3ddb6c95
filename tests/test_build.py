"""From a configuration to objects."""

from omegaconf import OmegaConf

from runner.build import build


def test_what_only_the_catalog_reads_reaches_no_constructor():
    cfg = OmegaConf.create(
        {"size": 3, "model": {"_target_": "fractions.Fraction", "numerator": "${size}", "takes": "a"}}
    )
    assert build(cfg, "model") == 3
    assert cfg.model.takes == "a"
