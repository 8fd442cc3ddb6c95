"""A configuration composed without a command line."""

from omegaconf import OmegaConf

from runner.config.compose import compose


def test_overrides_and_folders_of_the_user_count(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name / "model").mkdir(parents=True)
        (tmp_path / name / "model" / f"{name}.yaml").write_text(f"_target_: my_code.Net\nwidth: {len(name)}\n")
    folders = [tmp_path / "one", tmp_path / "two"]
    assert [compose([f"model={name}", "seed=5"], folders).model.width for name in ("one", "two")] == [3, 3]
    assert compose(["seed=5"]).seed == 5


def test_interpolations_are_kept_and_can_be_resolved():
    cfg = compose(["data=csv", "model=mlp"])
    assert OmegaConf.to_container(cfg, resolve=False)["data"]["num_classes"] == "${infer:num_classes}"
    assert OmegaConf.has_resolver("infer") and "hydra" not in cfg
