"""`runner register`: the model of a run as a version of a name in MLflow's model registry."""

from dataclasses import dataclass

from runner.errors import UserError
from runner.verbs.options import OfRun


@dataclass(kw_only=True)
class Register(OfRun):
    """Make the model of a run a version of NAME in the model registry of the tracking server.

    Args:
        name: what the model is called there.
        alias: a second name, which leads to this version from now on.
    """

    name: str
    alias: str | None = None

    def __call__(self) -> int:
        from mlflow.exceptions import MlflowException

        from runner.tracking.artifacts import client, model_uri

        run, name = self.info, self.name
        source = model_uri(run)
        registry = client(self.tracking_uri, self.outputs)
        try:
            if not any(model.name == name for model in registry.search_registered_models(f"name = '{name}'")):
                registry.create_registered_model(name)
            version = registry.create_model_version(name, source, run.id, model_id=source.rpartition("/")[2]).version
            if self.alias:
                registry.set_registered_model_alias(name, self.alias, version)
        except MlflowException as error:
            said = error.message.splitlines()[0]
            raise UserError(f"the model could not be registered as {name}: {said}") from error
        print(f"{name}, version {version}: the model of run {run.id}")
        address = f"{name}@{self.alias}" if self.alias else f"{name}/{version}"
        print(f'load it with: mlflow.pyfunc.load_model("models:/{address}")')
        return 0
