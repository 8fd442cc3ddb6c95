"""Every message that the page of messages quotes is one of the source: none is left over after a sentence has changed.

Those that follow a command are typed and compared by test_commands.py.
"""

import ast
import re
from collections.abc import Iterator

from pages import ROOT

TEXT = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
LEAST = 12  # fixed characters of a sentence that is worth comparing


def parts(node: ast.expr) -> Iterator[str | None]:
    """Yield the fixed pieces of a text, and None for whatever is filled in."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.JoinedStr):
        for value in node.values:
            yield from parts(value)
    elif isinstance(node, ast.BinOp):
        yield from parts(node.left)
        yield from parts(node.right)
    else:
        yield None


def messages() -> list[re.Pattern[str]]:
    """The first lines of what UserError says anywhere in the source."""
    found = []
    for file in (ROOT / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("UserError", "NoRun") and node.args:
                line = "".join("\0" if piece is None else piece for piece in parts(node.args[0])).partition("\n")[0]
                if len(line.replace("\0", "")) >= LEAST:
                    found.append(re.compile(re.sub("\0+", ".*", re.escape(line))))
    return found


def test_every_quoted_message_is_one_of_the_source():
    quoted = re.findall(r"^```text\n(.*?)^```", TEXT, flags=re.DOTALL | re.MULTILINE)
    lines = [line for block in quoted for line in block.splitlines()]
    known = messages()
    assert len(lines) >= 12
    assert not [line for line in lines if not any(message.fullmatch(line) for message in known)]
