"""docs/add-a-dataset.md, followed to the letter."""

import pytest
from pages import Page


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Page:
    return Page("add-a-dataset.md", tmp_path_factory.mktemp("mine"))


def test_the_commands_of_the_page_work(page: Page) -> None:
    showing, training, asking = page.commands
    assert "fasttext" in page.runner(showing)
    assert "Rows: 16 train, 2 val, 2 test" in page.runner(training)
    assert "label: sun" in page.runner(asking)


def test_a_wrong_fact_is_answered_with_the_right_one(page: Page) -> None:
    refused = page.refused([*page.commands[1], "data.num_classes=3"])
    assert "data.num_classes=3" in refused
    assert "Set data.num_classes=2" in refused
