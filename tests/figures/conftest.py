"""Drawing a figure as a run does."""

import pytest


@pytest.fixture
def drawn(tmp_path):
    """Save a figure, and return its first panel."""

    def draw(figure):
        figure.savefig(tmp_path / "figure.png")
        assert (tmp_path / "figure.png").stat().st_size > 2000
        return figure.axes[0]

    return draw
