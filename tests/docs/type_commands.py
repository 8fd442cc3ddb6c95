"""Type the training commands of README and docs, the long ones too, with trainer=debug: `make commands`.

    python type_commands.py             # all pages, each command once: half an hour of one core
    python type_commands.py chapter-7   # some pages

Prints for each its exit code, its seconds and, where it failed, its last lines; ends with 1 if one has failed. A
command that reads a file of others (FETCHED) is named and left out unless that file is in the folder where this
is started.
"""

import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parents[1] / "benchmarks"), str(HERE.parent)]
from forks import typed as type_in  # noqa: E402
from page_commands import OWN_FILES, PAGES, commands, is_training, is_whole, refusals, typed  # noqa: E402

SHORT = ["trainer=debug", "trainer.max_epochs=2", "tracking.system_metrics=false"]
LENGTH = ("trainer=", "trainer.max_epochs=", "trainer.limit_")  # what SHORT takes the place of
FETCHED = ("cmn.txt", "rte.zip", "rt_polarity", "Restaurants_Train.xml", "title.json")  # of others; see the pages


def of_pages(names: list[str]) -> Iterator[tuple[str, list[str]]]:
    """Name of the page and words of every training command of some pages, or of all; each command once."""
    seen: set[tuple[str, ...]] = set()
    for page in PAGES:
        if page.stem == "features" or (names and page.stem not in names):  # a test types all of features.md
            continue
        for command in commands(page):
            if is_training(command) and is_whole(command) and command not in refusals(page):
                words = typed(command)
                if tuple(words) not in seen:
                    seen.add(tuple(words))
                    yield page.stem, words


def main() -> None:
    folder = Path(tempfile.mkdtemp())
    for name, content in OWN_FILES.items():
        (folder / name).write_text(content, encoding="utf-8")
    missing = [name for name in FETCHED if not Path(name).exists()]
    for name in set(FETCHED) - set(missing):
        (folder / name).symlink_to(Path(name).absolute())
    failed = 0
    for page, words in of_pages(sys.argv[1:]):
        line = f"{page}: runner {' '.join(words)}"
        if set(words) & {f"data.path={name}" for name in missing}:
            print(f" left out  {line}", flush=True)
            continue
        began = time.monotonic()
        kept = [word for word in words if not word.lstrip("+").startswith(LENGTH)]
        code, printed = type_in([*kept, *SHORT], folder)
        failed += code != 0
        print(f"{code:3} {time.monotonic() - began:5.0f} s {line}", flush=True)
        if code:
            print("\n".join(printed.splitlines()[-5:]), flush=True)
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
