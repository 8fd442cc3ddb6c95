"""How good codes are, and what is drawn and asked of them."""

import numpy as np
import pytest
import torch
from PIL import Image
from small_runs import settings

from runner.build import build_task
from runner.datamodules.parts.codecs import ImageInputs
from runner.errors import UserError
from runner.tasks.image_codes import distance_from_prior, neighbours_agree


class Digits:
    """Data that can encode images."""

    inputs = ImageInputs("image", [1, 28, 28])
    columns = inputs.columns

    def encode(self, rows):
        return self.inputs.encode(rows)


@pytest.fixture
def vae():
    torch.manual_seed(0)
    return build_task(settings("vae")).eval()


def test_neighbours_that_agree_against_scikit_learn():
    from sklearn.neighbors import KNeighborsClassifier

    labels = torch.arange(300) % 3
    codes = torch.randn(300, 2, generator=torch.Generator().manual_seed(0)) + labels[:, None]
    right = []
    for row in range(300):
        others = np.arange(300) != row
        near = KNeighborsClassifier(10).fit(codes[others], labels[others])
        right.append(near.predict(codes[row : row + 1])[0] == labels[row])
    assert neighbours_agree(codes, labels) == pytest.approx(np.mean(right), abs=0.02)  # ties are broken otherwise
    assert 0.5 < neighbours_agree(codes, labels) < 0.9


def test_the_distance_from_the_prior():
    like_prior = torch.randn(1000, 2, generator=torch.Generator().manual_seed(1))
    near, far, narrow = (distance_from_prior(codes) for codes in (like_prior, like_prior + 3, like_prior / 4))
    assert abs(near) < 0.005 and far > 0.3 and narrow > 0.1
    rows = like_prior[:50].double()
    prior = torch.randn(50, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)

    def kernel(one, other):
        return np.mean([np.exp(-float(((one - other) ** 2).sum()) / 2 / (2 * width)) for width in (0.25, 1, 4)])

    pairs = [(i, j) for i in range(50) for j in range(50)]
    among = [np.mean([kernel(x[i], x[j]) for i, j in pairs if i != j]) for x in (rows, prior)]
    between = np.mean([kernel(rows[i], prior[j]) for i, j in pairs])
    assert distance_from_prior(rows) == pytest.approx(sum(among) - 2 * between, abs=1e-9)


def test_samples_are_files_and_the_same_every_time(vae, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert vae.questions()["sample"]("7", Digits()) == [{"images": 7, "figure": "samples.png", "array": "samples.npy"}]
    first = np.load("samples.npy")
    assert first.shape == (7, 1, 28, 28) and first.min() >= 0 and first.max() <= 1
    vae.sample("7", Digits())
    assert np.array_equal(np.load("samples.npy"), first)
    vae.sample_seed = 1
    vae.sample("7", Digits())
    assert not np.array_equal(np.load("samples.npy"), first)


def test_interpolation_begins_and_ends_where_it_should(vae, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (28, 28), dtype=np.uint8)).save("a.png")
    vae.interpolate("a.png | 3", Digits())
    made = torch.from_numpy(np.load("interpolation.npy"))
    seen = torch.from_numpy(np.asarray(Image.open("a.png"), dtype=np.float32) / 255).reshape(1, 1, 28, 28)
    with torch.inference_mode():
        torch.testing.assert_close(made[:1], vae.net.images(vae.net.codes(seen)))
        drawn = torch.randn(1, 2, generator=torch.Generator().manual_seed(3))
        torch.testing.assert_close(made[-1:], vae.net.images(drawn))


@pytest.mark.parametrize(
    ("question", "typed", "message"),
    [
        ("sample", "many", r"sample= takes a number from 1 to 10000, received 'many'"),
        ("sample", "0", r"received '0'"),
        ("interpolate", "1", r"takes two ends with | between them, received '1'"),
        ("interpolate", "1|b.png", r"or whole numbers as seeds; there is no file 'b.png'"),
    ],
)
def test_what_cannot_be_answered(vae, question, typed, message):
    with pytest.raises(UserError, match=message.replace("|", r"\|")):
        vae.questions()[question](typed, Digits())


def test_a_file_that_is_not_an_image(vae, tmp_path):
    (tmp_path / "a.png").write_text("no image")
    with pytest.raises(UserError, match="is not an image that can be read"):
        vae.interpolate(f"{tmp_path / 'a.png'}|1", Digits())


def test_a_plain_autoencoder_has_no_prior_to_sample_from():
    assert set(build_task(settings("autoencoder")).questions()) == {"interpolate"}


def test_figures_of_codes(tmp_path):
    """After a training: figures of the test split, those of each epoch, and what moves; drawing changes no weight."""
    from runner.training.train import train
    from runner.verbs.evaluate import on_split

    found = train(settings("autoencoder", "task.noise=0.3"), tmp_path)
    names = {path.name for path in (tmp_path / "figures").iterdir()}
    assert {"latent_space.png", "prior_and_codes.png", "manifold.png", "reconstructions.png"} <= names
    assert sorted(p.name for p in (tmp_path / "figures" / "epochs" / "reconstructions").iterdir()) == [
        "0001.png", "0002.png", "0003.png"]  # fmt: skip
    with Image.open(tmp_path / "figures" / "reconstructions.gif") as moving:
        assert moving.n_frames == 3
    assert {"test/loss", "test/mmd", "test/knn_accuracy"} <= set(found)
    assert on_split(tmp_path, "test", {}) == 0
