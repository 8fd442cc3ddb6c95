"""Baselines on the split of the net."""

from small_runs import result


def test_boston_has_all_models_on_one_split(tmp_path, no_figures):
    found = result(["experiment=ch03_boston", "trainer.max_epochs=10", "optim.lr=0.01"], tmp_path)
    names = [f"test/{name}mse" for name in ("", "svr_", "svr_raw_", "linear_regression_")]
    mlp, standardised, raw, least_squares = (found[name] for name in names)
    assert standardised < least_squares < raw and mlp < raw
    assert (tmp_path / "figures" / "side_by_side.png").stat().st_size > 10_000
