"""Deferred modules: not executed by a training, executed once and completely as soon as they are used."""

import subprocess
import sys

BEFORE = """
import sys
from runner.training.deferred import Deferred, defer
defer()
import torch, pytorch_lightning
waits = {name: isinstance(sys.modules[name], Deferred) for name in ("torch._dynamo", "scipy.signal")}
assert all(waits.values()), waits
net = torch.nn.Linear(2, 1)
optimizer = torch.optim.Adam(net.parameters())
net(torch.ones(1, 2)).sum().backward()
optimizer.step()
optimizer.zero_grad()
def waiting(name):
    return isinstance(sys.modules[name], Deferred)
assert waiting("torch._dynamo"), "a step needs no compiler"
"""
USES = {
    "a name": """
        assert torch._dynamo.is_compiling() is False
        import torch._dynamo.eval_frame as inside
        assert sys.modules["torch._dynamo"].eval_frame is inside and not waiting("torch._dynamo")
        """,
    "a module inside": """
        import torch._dynamo.eval_frame as inside
        assert not waiting("torch._dynamo") and torch._dynamo.eval_frame is inside
        assert inside.OptimizedModule is torch._dynamo.OptimizedModule, "the module was executed twice"
        assert inside.__spec__.loader.__class__.__name__ == "SourceFileLoader"
        """,
    "from": """
        from torch._dynamo import config
        from torch._dynamo.backends import registry
        assert registry is sys.modules["torch._dynamo.backends.registry"] and config.recompile_limit
        """,
    "compiling": """
        from pytorch_lightning.utilities.compile import OptimizedModule
        assert not isinstance(net, OptimizedModule)
        compiled = torch.compile(net, backend="eager")
        assert isinstance(compiled, OptimizedModule) and not isinstance(net, OptimizedModule)
        assert torch.equal(compiled(torch.ones(1, 2)), net(torch.ones(1, 2)))
        optimizer.step()
        optimizer.zero_grad()
        """,
    "scipy": """
        import numpy, scipy
        assert numpy.allclose(scipy.signal.hamming(5), scipy.signal.get_window("hamming", 5, fftbins=False))
        assert not waiting("scipy.signal")
        from scipy.signal import butter, windows
        assert windows.hamming(5) is not None and butter(2, 0.5)
        """,
}


FORKS = """
import os, traceback
for use, lines in USES.items():
    if (child := os.fork()) == 0:
        try:
            exec(lines)
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0, use
"""


def test_the_first_use_executes_the_module():
    uses = {use: "\n".join(line.strip() for line in lines.splitlines()) for use, lines in USES.items()}
    subprocess.run([sys.executable, "-c", f"{BEFORE}USES = {uses!r}\n{FORKS}"], check=True)
