"""Versions of a name in the model registry."""

import pytest
from recorded_runs import called

from runner.verbs.register import Register

pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore::ResourceWarning", "ignore:.*type hint:UserWarning"
)


def test_versions_of_a_registered_model(recorded, capsys) -> None:
    import mlflow.pyfunc
    import pandas

    for run, alias in (("iris", None), ("boston", "best")):
        assert called(recorded, Register(run=run, name="flowers", alias=alias)) == 0
    assert 'load_model("models:/flowers@best")' in capsys.readouterr().out
    row = {name: [0.5] for name in ("sepal_length", "sepal_width", "petal_length", "petal_width")}
    assert "label" in mlflow.pyfunc.load_model("models:/flowers/1").predict(pandas.DataFrame(row)).columns
