"""The names of samplers and pruners of Optuna."""

import subprocess
import sys
from pathlib import Path

from runner.config.optuna_names import offered, problems

ROOT = Path(__file__).parents[2]


def test_names_of_optuna_are_known_without_importing_it():
    code = "import sys; from runner.config.optuna_names import offered\n"
    code += "print(len(offered('Sampler')), 'optuna' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT / "src")
    assert int(done.stdout.split()[0]) >= 8 and done.stdout.split()[1] == "False"
    assert {"tpe", "random", "cmaes"} <= set(offered("Sampler")) and {"none", "median"} <= set(offered("Pruner"))
    assert problems({"sampler": "TPESampler", "pruner": "successive_halving"}) == []
