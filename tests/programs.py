"""Separate Python programs, for what has to be tested in a fresh interpreter."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def run_python(code: str) -> subprocess.CompletedProcess:
    """Run the code with the package of this checkout; raise CalledProcessError if it fails."""
    env = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env, check=True)
