"""The model of a run loads from the tracker alone."""

import sys
import textwrap

import pytest
from records import begin, uses_mlflow

from runner.tracking.find import find_run
from runner.tracking.uri import resolve_uri


@uses_mlflow
def test_model(tracker, outputs, tmp_path, monkeypatch):
    """The model loads from the tracker alone, with its own copy of the code, and predicts raw rows."""
    package = tmp_path / "stand_in"
    package.mkdir()
    (package / "__init__.py").write_text(
        textwrap.dedent("""
        from pathlib import Path
        import pandas as pd

        class Predictor:
            def load_context(self, context):
                self.word = Path(context.artifacts["run"], "word.txt").read_text()

            def predict(self, context, table):
                found = [self.word in text for text in table["text"]]
                return pd.DataFrame({"label": ["yes" if x else "no" for x in found], "p": [float(x) for x in found]})
        """)
    )
    bundle = tmp_path / "%41 and a?" / "bundle"
    bundle.mkdir(parents=True)
    (bundle / "word.txt").write_text("good")
    run = begin(tracker, params={"long": "x" * 6000})
    run.model(
        bundle,
        type("Predictor", (), {"__module__": "stand_in"}),
        inputs={"text": "string", "size": "double", "image": "tensor"},
        outputs={"label": "string", "p": "double"},
        example=[{"text": "a good film", "size": 1, "image": [[0, 1], [2, 3]]}],
        code=[package],
    )
    run.finish("FINISHED")

    import mlflow
    import pandas as pd

    mlflow.set_tracking_uri(resolve_uri(None, outputs)[0])
    uri = find_run(None, outputs, run.id).tags["runner.model_uri"]
    monkeypatch.setattr(sys, "path", list(sys.path))
    table = pd.DataFrame({"text": ["good", "bad"], "size": [1.0, 2.0], "image": [[[0.0, 1.0]], [[2.0, 3.0]]]})
    for address in (uri, f"runs:/{run.id}/run"):
        model = mlflow.pyfunc.load_model(address)
        assert model.predict(table)["label"].tolist() == ["yes", "no"]
    assert [column.name for column in model.metadata.signature.inputs] == ["text", "size", "image"]
    assert model.input_example.to_dict("records") == [
        {"text": "a good film", "size": 1.0, "image": [[0.0, 1.0], [2.0, 3.0]]}
    ]
    with pytest.raises(mlflow.exceptions.MlflowException, match="image"):
        model.predict(table[["text"]])
    (output,) = mlflow.MlflowClient().get_run(run.id).outputs.model_outputs
    assert uri.endswith(output.model_id)
