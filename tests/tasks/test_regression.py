"""What regression draws."""

from small_runs import result


def test_the_fitted_curve_is_drawn(tmp_path):
    found = result(["experiment=ch03_curve", "trainer.max_epochs=20", "+trainer.check_val_every_n_epoch=10"], tmp_path)
    assert found["test/mse"] < 0.5  # the variance of a sine
    assert (tmp_path / "figures" / "fitted_curve.png").exists()
