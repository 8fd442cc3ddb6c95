"""Names are followed through source files, and nothing is imported on the way."""

import pytest
from programs import run_python

from runner.config.signatures import find, signature
from runner.config.source import TargetError


@pytest.mark.parametrize(
    ("target", "fragments"),
    [
        ("shlf.Base", ['no module "shlf"', 'Did you mean "shelf"?']),
        ("shelf.thing.Base", ['no module "shelf.thing"', 'Did you mean "things"?']),
        ("shelf.things.Chlid", ["shelf.things has no Chlid", 'Did you mean "Child"?']),
        ("shelf.things", ["shelf.things is a module"]),
        ("shelf.things.Base.off", ["shelf.things.Base has no off"]),
        ("shelf.broken.Broken", ["broken.py, line 1"]),
        ("shelf/things.py", ["not the dotted path"]),
        ("torch.optm.Adam", ['no module "torch.optm"', 'Did you mean "optim"?']),
        ("torch.optim.Adamm", ["torch.optim has no Adamm", 'Did you mean "Adam"?']),
    ],
)
def test_what_does_not_exist_is_named_with_the_closest(package, target, fragments):
    assert signature(target) is None
    with pytest.raises(TargetError) as caught:
        find(target)
    assert all(fragment in str(caught.value) for fragment in fragments), str(caught.value)


def test_nothing_is_imported():
    done = run_python(
        "import sys; from runner.config.signatures import find\n"
        "for target in ('torch.optim.Adam', 'pytorch_lightning.Trainer', 'sklearn.svm.SVC'): find(target)\n"
        "print(sorted({'torch', 'pytorch_lightning', 'sklearn', 'numpy'} & set(sys.modules)))"
    )
    assert done.stdout.strip() == "[]"
