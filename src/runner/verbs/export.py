"""`runner export`: the trained net as a file for other programs; `runner.inference.export` does the work."""

from dataclasses import dataclass
from typing import Literal

from runner.errors import UserError
from runner.verbs.options import File, OfModel


@dataclass(kw_only=True)
class Export(OfModel):
    """Write the net for other programs, checked against its own answers.

    Args:
        format: onnx for onnxruntime and others; torch_export, a .pt2 program; safetensors, a folder with the weights,
            the configuration and the preprocessing; huggingface, a folder that AutoModel of transformers reads.
        output: the file or folder to write; usually export/model... or export/huggingface in the folder of the run.
    """

    format: Literal["onnx", "torch_export", "safetensors", "huggingface"]
    output: File = None

    def __call__(self) -> int:
        from runner.inference.export import ENDINGS, export_bundle, need_packages

        need_packages(self.format)
        bundle, ending = self.bundle(), ENDINGS[self.format]
        name = "huggingface" if self.format == "huggingface" else f"model{ending}"
        target = self.output or bundle.parent / "export" / name
        if ending and target.suffix != ending:
            raise UserError(f"format={self.format} writes a file that ends in {ending}; received output={target}")
        for line in export_bundle(bundle, self.format, target):
            print(line)
        return 0
