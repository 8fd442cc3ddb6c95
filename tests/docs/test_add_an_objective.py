"""docs/add-an-objective.md, followed to the letter."""

import re

import pytest
from pages import Page


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Page:
    return Page("add-an-objective.md", tmp_path_factory.mktemp("mine"))


def test_the_commands_of_the_page_work(page: Page) -> None:
    examining, training, *asking = page.commands
    assert re.search(r"All \d+ contracts are kept\.", page.runner(examining))
    assert "distance" in page.runner(training)
    usual, unusual = (float(page.runner(one).partition("surprise: ")[2].split()[0]) for one in asking)
    assert unusual > 2 * usual
