"""The folder that MLflow calls a pyfunc model, written quickly: nothing is imported, inferred or tested."""

import shutil
from importlib import metadata
from pathlib import Path
from typing import Any

from runner.files.secrets import names_a_secret

PACKAGES = ("mlflow", "torch", "pytorch-lightning", "torchmetrics", "hydra-core", "numpy", "pandas", "scikit-learn")
TYPES = ("string", "double", "long", "category", "tensor")

# MLflow runs this script when it stores the model and when it loads it; only loading imports the predictor.
SCRIPT = '''"""How MLflow loads this model: the class that `runner` predicts with, on the files of the run."""

import mlflow
import pandas as pd


class Model(mlflow.pyfunc.PythonModel):
    def load_context(self, context):
        from {module} import {name}

        self.model = {name}()
        self.model.load_context(context)

    def predict(self, context, model_input: pd.DataFrame, params=None):
        return self.model.predict(context, model_input)


mlflow.models.set_model(Model())
'''


def save_model(
    scratch: Path,
    header: Any,
    folder: str,
    python_model: str,
    inputs: dict[str, str],
    outputs: dict[str, str],
    example: list[dict[str, Any]],
    code: list[str],
) -> Path:
    """Write the model into the empty folder `scratch` and return its own folder.

    `header` is MLflow's `Model` with the ids of the run and of the model; the rest is as in `Record.model`.
    """
    import mlflow.pyfunc
    from mlflow.models import ModelSignature
    from mlflow.utils import requirements_utils

    # MLflow compares the versions below with what is installed, and first reads the files of all packages for that.
    # It need not: that is where they come from. With an empty table of modules it asks for each version alone.
    requirements_utils._MODULES_TO_PACKAGES = {}  # type: ignore[assignment]
    module, _, name = python_model.rpartition(".")
    script = scratch / "load_model.py"
    script.write_text(SCRIPT.format(module=module, name=name), encoding="utf-8")
    path = scratch / "model"
    mlflow.pyfunc.save_model(
        path=str(path),
        python_model=str(script),
        artifacts={"run": Path(folder).as_uri()},  # a path would be taken for an address, %41 for A
        code_paths=[without_secrets(place, scratch / "code") for place in code] or None,
        signature=ModelSignature(inputs=_schema(inputs, example), outputs=_schema(outputs, [])),
        input_example=_table(inputs, example) if example else None,
        pip_requirements=[f"{package}=={version}" for package, version in versions().items()],
        mlflow_model=header,
    )
    return path


def without_secrets(place: str, scratch: Path) -> str:
    """Return a module, or a copy of the folder of a package that leaves out files with secrets, such as .env."""
    if not Path(place).is_dir():
        return place

    def left_out(folder: str, names: list[str]) -> list[str]:
        return [name for name in names if name == "__pycache__" or names_a_secret(name)]

    return str(shutil.copytree(place, scratch / Path(place).name, ignore=left_out))


def versions(*more: str) -> dict[str, str]:
    """Return the versions of the main packages that are installed, and of `more`, without importing any."""
    found = {}
    for name in (*PACKAGES, *more):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue  # an optional package
    return found


def _schema(columns: dict[str, str], example: list[dict[str, Any]]) -> Any:
    import numpy as np
    from mlflow.types.schema import AnyType, Array, ColSpec, DataType, Schema

    def spec(name: str, kind: str) -> ColSpec:
        if kind not in TYPES:
            raise ValueError(f'column {name} has the type "{kind}"; allowed: {", ".join(TYPES)}')
        if kind != "tensor":
            return ColSpec(DataType["string" if kind == "category" else kind], name)
        depth = np.asarray(example[0].get(name)).ndim if example else 0
        array: Any = DataType.double if depth else AnyType()
        for _ in range(depth):
            array = Array(array)
        return ColSpec(array, name)

    return Schema([spec(name, kind) for name, kind in columns.items()])


def _table(columns: dict[str, str], example: list[dict[str, Any]]) -> Any:
    """Return the rows as a pandas table with the types of the signature."""
    import numpy as np
    import pandas as pd

    table = pd.DataFrame([{name: row.get(name) for name in columns} for row in example])
    kinds = {"double": "float64", "long": "int64"}
    table = table.astype({name: kinds[kind] for name, kind in columns.items() if kind in kinds})
    for name in (name for name, kind in columns.items() if kind == "tensor"):
        table[name] = [np.asarray(value, dtype=np.float64).tolist() for value in table[name]]
    return table
