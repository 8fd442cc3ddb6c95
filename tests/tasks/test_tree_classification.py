"""Losses of nodes, accuracy of trees, and what a trained net says of brackets."""

import pytest
import torch
from small_runs import settings
from torch import nn

from runner.datamodules.parts.batches import IGNORE
from runner.datamodules.parts.brackets import TreeBatch
from runner.errors import UserError
from runner.inference.export import export_bundle
from runner.inference.predictor import Predictor
from runner.tasks.tree_classification import TreeClassification
from runner.training.train import train


class Says(nn.Module):
    """Is sure that a node has the class of its token."""

    def forward(self, tokens, parents):
        return 9.0 * nn.functional.one_hot(tokens, 4).float()


def test_a_tree_is_right_if_its_root_is() -> None:
    task = TreeClassification(Says(), num_outputs=4)
    batch = TreeBatch(
        tokens=torch.tensor([[1, 2, 3], [1, 0, 0]]),
        parents=torch.tensor([[3, 3, 3], [1, 0, 0]]),
        target=torch.tensor([[2, IGNORE, 3], [2, IGNORE, IGNORE]]),
    )
    found = task.step(batch)
    assert found["accuracy"].item() == 0.5
    assert found["node_accuracy"].value.item() == pytest.approx(1 / 3)
    assert found["node_accuracy"].weight.item() == found["loss"].weight.item() == 3
    as_file = task.evaluation_step((batch.tokens, batch.parents, torch.tensor([3, 2])))
    assert as_file["accuracy"].item() == 0.5, "a labelled file has one class for each tree"
    assert as_file["loss"].weight.item() == 2


def test_a_trained_net_reads_brackets_and_says_why_it_cannot_be_exported(tmp_path) -> None:
    train(settings("tree_lstm", "data.rows=400", "data.every_node=true"), tmp_path)
    predictor = Predictor(tmp_path / "model")
    (answer,) = predictor([{"text": "[MAX 2 9 [MIN 4 7 ] 0 ]"}])
    assert answer["label"] in "0123456789"
    with pytest.raises(UserError, match="TreeLSTM cannot be exported, since how often it loops depends on the trees"):
        export_bundle(tmp_path / "model", "onnx", tmp_path / "net.onnx")
    export_bundle(tmp_path / "model", "safetensors", tmp_path / "weights")
