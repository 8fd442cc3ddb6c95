"""Credit card fraud, from a file of the user."""

from pathlib import Path

import numpy as np
import pytest
import torch

from runner.datamodules.fraud import Fraud
from runner.errors import UserError


def creditcard(path: Path, rows: int = 60, amount: str = "0.0") -> Path:
    """A small file in the format of creditcard.csv."""
    draw = np.random.default_rng(0)
    names = ["Time", *(f"V{number}" for number in range(1, 29)), "Amount", "Class"]
    lines = [",".join(f'"{name}"' for name in names)]
    for number in range(rows):
        cells = [f"{value:.6f}" for value in draw.normal(size=28)]
        cells = [str(number), *cells, amount if number == 0 else f"{number * 10.5}", str(number % 3 // 2)]
        lines.append(",".join(cells))
    path.write_text("\n".join(lines) + "\n")
    return path


def test_fraud_is_prepared_as_in_the_book(tmp_path):
    data = Fraud(path=str(creditcard(tmp_path / "creditcard.csv")))
    data.setup()
    assert "Time" not in data.columns and len(data.columns) == 29
    raw = np.array([row["Amount"] for row in data.raw("train", 1000)])
    logs = np.log(raw + 0.001)
    expected = ((logs - logs.mean()) / logs.std()).clip(-5, 5)
    np.testing.assert_allclose(data.train.batch[0][:, -1], expected, atol=1e-5)
    rows = data.raw("test", 3)
    assert torch.equal(data.encode(rows)[0], data.test.gather(torch.arange(3), torch.Generator())[0])
    fresh = Fraud(path="elsewhere.csv")
    fresh.load_state(data.state())
    assert torch.equal(fresh.encode(rows)[0], data.encode(rows)[0])


def test_fraud_says_what_is_wrong_with_the_file(tmp_path):
    with pytest.raises(UserError, match="does not exist"):
        Fraud(path=str(tmp_path / "creditcard.csv")).setup()
    with pytest.raises(UserError, match=r"does not exist\. Correct the cell"):
        Fraud(path=str(creditcard(tmp_path / "creditcard.csv", amount="-5.0"))).setup()
    with pytest.raises(UserError, match='column "Amount"'):
        Fraud(path=str(creditcard(tmp_path / "creditcard.csv", amount="much"))).setup()
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    with pytest.raises(UserError, match="has no column V1"):
        Fraud(path=str(tmp_path / "other.csv")).setup()
