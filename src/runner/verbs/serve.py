"""`runner serve`: MLflow's scoring server for the model of a run.

    runner serve run=last
    curl http://127.0.0.1:5001/invocations -H 'Content-Type: application/json' \\
         -d '{"dataframe_records": [{"text": "a fine film"}]}'

It is MLflow's own application (`/invocations`, `/ping`, `/version`) in front of MLflow's own model. A check in front of
it catches errors inside MLflow: a request that cannot be read is a mistake of the client, code 4xx, never 500.
"""

import functools
import json
import logging
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from runner.verbs.options import OfTask, Port, check_address

log = logging.getLogger(__name__)
LARGEST_BODY = 64 * 2**20  # bytes of a request
ASKED: ContextVar[list] = ContextVar("asked")  # not empty after the request has reached the model


@dataclass(kw_only=True)
class Serve(OfTask):
    """Answer requests with MLflow's scoring server: raw rows in, answers out.

    Args:
        port: to listen on.
        host: the address it listens on; 0.0.0.0 lets other machines in.
    """

    port: Port = 5001
    host: str = "127.0.0.1"

    def __call__(self) -> int:
        from runner.tracking.artifacts import client, model_uri

        self.let_in()
        check_address(self.host, self.port)
        run = self.info
        address = model_uri(run)
        client(self.tracking_uri, self.outputs)
        import uvicorn

        app = application(address, self.changed)
        columns = ", ".join(column["name"] for column in app.state.columns)
        print(f"run {run.id} ({run.name}) on http://{self.host}:{self.port}/invocations  (Ctrl-C ends it)")
        print(f"columns: {columns}", flush=True)
        uvicorn.run(app, host=self.host, port=self.port, log_level="warning")
        return 0


def application(address: str, changed: dict[str, Any] | None = None) -> Any:
    """Return MLflow's server application for a model, with the check in front.

    Args:
        address: MLflow's address of the model, such as `models:/m-...`.
        changed: settings of the objective that replace those it was trained with.
    """
    import mlflow.pyfunc
    from mlflow.pyfunc import scoring_server

    from runner.inference.predictor import Predictor

    model = mlflow.pyfunc.load_model(address)
    if changed:
        served = model.unwrap_python_model()
        served.predictor = Predictor(served.predictor.bundle, changed=changed)
    predict = model.predict

    @functools.wraps(predict)
    def asked(data: Any, params: dict | None = None) -> Any:
        ASKED.get().append(True)
        return predict(data, params=params)

    model.predict = asked
    app = scoring_server.init(model)
    app.state.columns = model.metadata.get_input_schema().to_dict()
    app.add_middleware(Gate)
    return app


class Gate:
    """Answers requests that cannot be scored with a code 4xx, and passes on the others.

    Args:
        app: the application behind it.
    """

    def __init__(self, app: Any):
        self.app = app

    async def __call__(self, scope: dict, receive: Any, send: Any) -> None:
        if scope["type"] != "http" or scope["path"] != "/invocations" or scope["method"] != "POST":
            await self.app(scope, receive, send)
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        if "content-type" not in headers:
            await refuse(send, 415, "the header Content-Type is missing: application/json or text/csv")
            return
        body = b""
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body += message.get("body", b"")
            if len(body) > LARGEST_BODY:
                await refuse(send, 413, f"a request has at most {LARGEST_BODY} bytes")
                return
            if not message.get("more_body"):
                break
        sent: list[dict] = []

        async def replay() -> dict:
            nonlocal body
            body, now = b"", body
            return {"type": "http.request", "body": now, "more_body": False}

        async def keep(message: dict) -> None:
            sent.append(message)

        asked: list = []
        ASKED.set(asked)
        try:
            await self.app(scope, replay, keep)
        except Exception as error:  # reading a request may fail in MLflow in many ways
            log.warning("a request could not be answered: %s: %s", type(error).__name__, error)
            why = "could not be answered" if asked else "could not be read"
            await refuse(send, 500 if asked else 400, f"the request {why}: {type(error).__name__}")
            return
        if sent and sent[0]["status"] == 500 and not asked:
            answer = b"".join(message.get("body", b"") for message in sent)
            await refuse(send, 400, reason(answer))
            return
        for message in sent:
            await send(message)


def reason(answer: bytes) -> str:
    """Return the message of an error of MLflow."""
    try:
        return str(json.loads(answer)["message"])[:2000]
    except (ValueError, KeyError, TypeError):
        return "the request could not be read"


async def refuse(send: Any, status: int, message: str) -> None:
    """Send a short answer in the form of MLflow's errors."""
    code = "INVALID_PARAMETER_VALUE" if status < 500 else "INTERNAL_ERROR"
    body = json.dumps({"error_code": code, "message": message}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
