"""text8: three splits of one line, plain or packed."""

import zipfile

import pytest

from runner.datamodules.text8 import Text8
from runner.errors import UserError

TEXT = " anarchism originated as a term of abuse" * 500


@pytest.mark.parametrize("packed", [False, True])
def test_the_last_tenth_is_for_validation_and_test(tmp_path, packed):
    path = tmp_path / ("text8.zip" if packed else "text8")
    if packed:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("text8", TEXT)
    else:
        path.write_text(TEXT)
    data = Text8(path=str(path))
    data.setup()
    sizes = [int(data.store.lengths()[data.members[part]].sum()) for part in ("train", "val", "test")]
    words = len(TEXT.split())
    assert sum(sizes) == words + 3 and sizes[0] == pytest.approx(0.9 * words, abs=9)
    assert sizes[1] == pytest.approx(sizes[2], abs=9)
    assert data.inputs.vocabulary.tokens[3:5] == ["a", "abuse"]


def test_another_archive(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("enwik8", "x")
    with pytest.raises(UserError, match="holds no file text8; it holds: enwik8"):
        Text8(path=str(tmp_path / "a.zip")).setup()
    with pytest.raises(UserError, match="text8 does not exist"):
        Text8(path=str(tmp_path / "text8")).setup()
