"""`runner demo`: a local page on which a trained model can be tried."""

import importlib.util
import os
import tempfile
from dataclasses import dataclass

from runner.errors import UserError
from runner.verbs.options import OfTask, Port, check_address

HOST = "127.0.0.1"


@dataclass(kw_only=True)
class Demo(OfTask):
    """Open a local page on which the model can be tried: texts, numbers, drawings, samples.

    What the page offers depends on the model: the words that mattered, where a translation looked, the temperature of a
    continuation, a pad to draw on, places of a latent plane. It is for this machine alone, needs no network and sends
    nothing anywhere. It needs the extra "demo".

    Args:
        port: of the page.
    """

    port: Port = 7860

    def __call__(self) -> int:
        if importlib.util.find_spec("gradio") is None:
            raise UserError('runner demo needs gradio: pip install "runner[demo]"')
        check_address(HOST, self.port)
        bundle = self.bundle()
        with tempfile.TemporaryDirectory() as folder:
            os.environ |= {"GRADIO_ANALYTICS_ENABLED": "False", "GRADIO_TEMP_DIR": folder}  # read by its import
            import uvicorn

            from runner.inference.page import page_of
            from runner.inference.predictor import Predictor

            app = page_of(Predictor(bundle, changed=self.changed), self.info.name)
            print(f"run {self.info.id} ({self.info.name}); Ctrl-C ends it")
            print(f"open http://{HOST}:{self.port}/ in a browser", flush=True)
            uvicorn.run(app, host=HOST, port=self.port, log_level="warning", timeout_graceful_shutdown=1)
        return 0
