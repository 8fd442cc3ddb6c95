"""Where a file of answers that was cut off is continued."""

from pathlib import Path

from runner.inference.output import complete_rows
from runner.inference.predictor import BATCH


def test_line_breaks_inside_cells_are_no_rows(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    rows = "".join(f'"two\nlines ""{n}""",1\n' for n in range(BATCH + 1))
    file.write_text("text,number\n" + rows)
    count, size = complete_rows(file, ",")
    assert count == BATCH and file.read_bytes()[:size].endswith(b'"two\nlines ""255""",1\n')
    assert complete_rows(file, ",", whole=True) == (BATCH + 1, file.stat().st_size)
