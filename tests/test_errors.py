"""Errors that users can correct."""

from runner.errors import UserError, closest, user_error


def test_the_nearest_spelling_is_suggested():
    assert closest("textcn", ["mlp", "textcnn"]) == ' Did you mean "textcnn"?'
    assert closest("zebra", ["mlp", "textcnn"]) == closest("mlp", []) == ""


def test_a_users_error_is_found_among_the_causes():
    try:
        try:
            raise UserError("no such file")
        except UserError as error:
            raise RuntimeError("wrapped") from error
    except RuntimeError as error:
        assert str(user_error(error)) == "no such file"
    assert user_error(ValueError("other")) is user_error(None) is None
