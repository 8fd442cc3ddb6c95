"""docs/add-an-optimizer.md, followed to the letter."""

import pytest
from pages import Page


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Page:
    return Page("add-an-optimizer.md", tmp_path_factory.mktemp("mine"))


def test_the_commands_of_the_page_work(page: Page) -> None:
    training, comparing = page.commands
    assert "epoch 20/20" in page.runner(training)
    compared = page.runner(comparing)
    assert "adam" in compared
    assert "lion" in compared
