"""Rows and files of them, for what answers and scores rows."""

import csv
from pathlib import Path

NAMES = ["sepal_length", "sepal_width", "petal_length", "petal_width"]


def flowers(count: int) -> list[dict]:
    return [
        dict(zip(NAMES, (4 + n % 30 / 10, 2 + n % 7 / 5, 1 + n % 11 / 2, n % 5 / 2), strict=True)) for n in range(count)
    ]


def write_csv(path: Path, rows: list[dict], delimiter: str = ",") -> Path:
    with open(path, "w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, list(rows[0]), delimiter=delimiter)
        table.writeheader()
        table.writerows(rows)
    return path
