"""What varies in a sweep: grids, random draws and intervals, in the override grammar of Hydra."""

import math
import random

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from runner.errors import UserError
from runner.sweep.space import read_space


def space(*arguments: str, listed: dict[str, str] | None = None):
    return read_space(list(arguments), listed or {}, OverridesParser.create())


def test_a_grid_is_hydras():
    jobs = space("model=a,b", "data=c", "seed=range(1,3)", "sweep.jobs=2", "sweep=grid").grid()
    assert [sorted(job) for job in jobs] == [
        sorted(["data=c", f"model={model}", f"seed={seed}"]) for model in "ab" for seed in (1, 2)
    ]


def test_lists_and_texts_are_chosen_as_typed():
    jobs = space("model.sizes=choice([3,4],[5])", "note='a b','c,d'").grid()
    assert [job for job in jobs] == [
        ["model.sizes=[3,4]", "note='a b'"],
        ["model.sizes=[3,4]", "note='c,d'"],
        ["model.sizes=[5]", "note='a b'"],
        ["model.sizes=[5]", "note='c,d'"],
    ]


def test_what_is_typed_wins_over_the_space_of_a_file():
    found = space("optim.lr=0.5", "+extra=1,2", listed={"optim.lr": "interval(0,1)", "seed": "choice(1,2)"})
    assert found.keys == ["+extra", "seed"] and found.fixed == ("optim.lr=0.5",)


@pytest.mark.parametrize(
    ("typed", "whole", "low", "high"),
    [
        ("x=interval(1,3)", False, 1, 3),
        ("x=int(interval(1,3))", True, 1, 3),
        ("x=tag(log,interval(1e-4,1))", False, 1e-4, 1),
        ("x=tag(log,int(interval(1,100)))", True, 1, 100),
        ("x=range(2,8,2)", True, 2, 6),
    ],
)
def test_random_values_lie_where_they_should(typed, whole, low, high):
    dimension = space(typed).dimensions[0]
    drawn = [dimension.draw(random.Random(number)) for number in range(400)]
    numbers = [float(text) for text in drawn]
    assert low <= min(numbers) and max(numbers) <= high
    assert all(text.isdigit() for text in drawn) == whole
    if whole and high < 10:
        assert set(numbers) == set(range(int(low), int(high) + 1, int(dimension.step or 1)))
    if "log" in typed:
        middle = math.sqrt(low * high)
        assert 0.4 < sum(number < middle for number in numbers) / 400 < 0.6


def test_a_random_job_depends_on_seed_and_number_alone():
    found = space("optim.lr=interval(0,1)", "model=a,b,c")
    first = [found.draw(0, number) for number in range(5)]
    assert first == [found.draw(0, number) for number in range(5)] != [found.draw(1, number) for number in range(5)]
    assert len({str(job) for job in first}) == 5


@pytest.mark.parametrize("typed", ["x=interval(3,1)", "x=tag(log,interval(0,1))", "x=range(3,3)"])
def test_empty_spaces_are_refused(typed):
    with pytest.raises(UserError, match=r"x="):
        space(typed)


@pytest.mark.parametrize("typed, title", [
    (["model=textcnn,lstm", "seed=1,2,3"], "textcnn, lstm x 3 seeds"),
    (["data.fold=range(0,10)"], "mlp x 10 folds"),
    (["optim.lr=0.1,0.01", "data=iris"], "mlp x optim.lr=0.1,0.01"),
    (["model.dropout=interval(0,0.5)", "optim.lr=1,2,3,4,5"], "mlp x model.dropout x 5 values of optim.lr"),
])  # fmt: skip
def test_the_title_says_what_varies(typed, title):
    assert space(*typed).title("mlp") == title


def test_a_grid_refuses_intervals():
    with pytest.raises(UserError, match="sweep=random"):
        space("x=interval(0,1)").grid()
