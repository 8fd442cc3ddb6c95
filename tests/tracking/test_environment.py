"""What a record says about the program itself."""

import subprocess
from pathlib import Path

import pytest

from runner.tracking.environment import code_commit

ROOT = Path(__file__).parents[2]


def test_the_commit_of_this_package_is_recorded():
    told = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False)
    if told.returncode:
        pytest.skip("this is not a checkout")
    assert code_commit()["runner.code.commit"].rstrip("+") == told.stdout.strip()
