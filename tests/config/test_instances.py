"""What a constructor refuses names its node and its settings; a slip in it keeps its place."""

import pytest

from runner.config.instances import instance, refusals
from runner.errors import UserError


def test_a_refusal_names_the_node_and_the_setting_it_is_about() -> None:
    node = {"_target_": "torch.nn.Dropout", "p": 7, "inplace": False}
    with pytest.raises(UserError, match=r"^model \(torch\.nn\.Dropout\): .*7 \(received model\.p=7\)$"):
        instance(node, "model")


def test_a_slip_is_raised_as_it_is() -> None:
    with pytest.raises(KeyError, match="lost"), refusals("my.function", "task.loss"):
        raise KeyError("lost")


def test_a_sentence_for_the_user_stays_as_it_is() -> None:
    with pytest.raises(UserError, match=r"^already said$"), refusals("my.function", "task.loss"):
        raise UserError("already said")


def test_other_errors_say_which_function_and_how_to_see_the_place() -> None:
    said = r"task\.loss \(my\.function\): two arguments; --debug shows where"
    with pytest.raises(UserError, match=said), refusals("my.function", "task.loss"):
        raise TypeError("two arguments")
