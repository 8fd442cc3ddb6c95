"""docs/add-a-model.md, followed to the letter."""

import re

import pytest
from pages import ROOT, Page


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Page:
    return Page("add-a-model.md", tmp_path_factory.mktemp("mine"))


def test_the_commands_of_the_page_work(page: Page) -> None:
    listing, examining, debugging, training = page.commands
    listed = page.runner(listing)
    assert "mean_of_words" in listed
    assert "movie_reviews" in listed
    assert re.search(r"All \d+ contracts are kept\.", page.runner(examining))
    assert "accuracy" in page.runner(debugging)
    assert training == [word for word in debugging if word != "trainer=debug"]


def test_the_contracts_hold_for_it(page: Page) -> None:
    tests = str(ROOT / "tests" / "contracts" / "test_nets.py")
    shown = page.python(
        "-m", "pytest", "-q", tests, "-k", "mean_of_words", "--config-dir", "conf", "-p", "no:cacheprovider"
    )
    assert "[100%]" in shown
