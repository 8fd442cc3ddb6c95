"""What the tests of commands share: whether the problems found are those expected."""

import re


def assert_problems(found: list[str], expected: list[list[str]]) -> None:
    """There is one short problem for each list of fragments, in any order, and it holds all of them."""
    assert len(found) == len(expected), found
    for fragments in expected:
        assert any(all(fragment in text for fragment in fragments) for text in found), (fragments, found)
    for text in found:
        assert len(text) < 600 and "\n" not in text, text
        assert not re.search(r"Traceback|HydraException|full_key|object at 0x", text), text
