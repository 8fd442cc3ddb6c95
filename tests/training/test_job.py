"""One job of the command line."""

from runner.training.job import ordered


def test_the_settings_of_the_model_come_before_the_machinery():
    settings = {"task": 1, "trainer": 2, "resume": None, "data": 3, "seed": 4, "model": 5}
    assert list(ordered(settings)) == ["model", "data", "task", "seed", "trainer"]
    assert ordered(settings)["trainer"] == 2
