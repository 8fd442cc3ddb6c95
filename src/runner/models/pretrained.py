"""A pretrained encoder, the mean of what it says of the tokens, and a new linear head.

Sources: Jacob Devlin et al., BERT: Pre-training of Deep Bidirectional Transformers, NAACL 2019, arXiv:1810.04805;
mean pooling as in Nils Reimers and Iryna Gurevych, Sentence-BERT, EMNLP 2019, arXiv:1908.10084; smaller rates for lower
layers as in Jeremy Howard and Sebastian Ruder, Universal Language Model Fine-tuning, ACL 2018, arXiv:1801.06146.
The encoder is that of the package transformers, LoRA that of the package peft.

Shape letters: B batch, T time (tokens), H width of the encoder, K outputs.
"""

import re
from pathlib import Path
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor, nn

from runner.models.layers import huggingface
from runner.models.ranges import check_choice, check_share, check_size

ModelFolder: TypeAlias = str  # a folder that travels with the model
KEPT = (".json", ".txt", ".model")  # files of the folder that travel: how it is built and how it cuts texts


class Pretrained(nn.Module):
    """Scores of texts, of pairs of texts, or of the tokens of a text, from a pretrained encoder.

    Args:
        path: folder in the Hugging Face layout, with weights in safetensors.
        vocab_size: distinct tokens of the data, padding (0) included; at most those of the encoder.
        max_len: longest text in tokens, its marks included; at most what the encoder has positions for.
        num_outputs: numbers K returned for each text (classes or targets), or for each token (tags, or 2 of a span).
        pooling: what a text is: mean of its tokens, or its first one.
        dropout: share of the pooled features dropped in training, in [0, 1).
        num_layers: layers of the encoder that are used, the first so many; None = all.
        layer_decay: learning rate of a layer as a share of that of the layer above it, above 0; 1 = the same rate.
        lora_rank: rank of the matrices that are trained in place of the encoder (LoRA); 0 = the encoder is trained.
        lora_alpha: how much these matrices count, above 0; divided by their rank.
        tokenizer: that of the data, which has to be the folder `path`; None = not checked.
        head: what the scores are for: a text (or a pair) as a whole, or each token, of "tags" and of "spans".

    Raises:
        ValueError: a value out of range, or a folder that does not fit.
        ImportError: a package of the extra "pretrained" is not installed.
    """

    ids: Tensor  # (tokens of the encoder,)

    def __init__(
        self,
        path: ModelFolder,
        vocab_size: int,
        max_len: int,
        num_outputs: int,
        pooling: Literal["mean", "first"] = "mean",
        dropout: float = 0.1,
        num_layers: int | None = None,
        layer_decay: float = 1.0,
        lora_rank: int = 0,
        lora_alpha: int = 16,
        tokenizer: str | None = None,
        head: Literal["text", "tags", "spans"] = "text",
    ):
        super().__init__()
        check_size(vocab_size=vocab_size, max_len=max_len, num_outputs=num_outputs)
        check_size(0, lora_rank=lora_rank)
        check_size(num_layers=1 if num_layers is None else num_layers)
        check_choice(("mean", "first"), pooling=pooling)
        check_choice(("text", "tags", "spans"), head=head)
        check_share(dropout=dropout)
        if layer_decay <= 0 or lora_alpha <= 0:
            raise ValueError(f"layer_decay and lora_alpha must be above 0, received {layer_decay} and {lora_alpha}")
        self.encoder = huggingface.encoder(path, num_layers)
        if tokenizer is not None and huggingface.has_weights(path) and Path(tokenizer) != Path(path):
            raise ValueError(
                f"the tokens of the data have to be those of the encoder: leave data.tokenizer={tokenizer} out"
            )
        config: Any = self.encoder.config
        if vocab_size > config.vocab_size:
            raise ValueError(f"vocab_size={vocab_size} is more than the {config.vocab_size} tokens of {path}")
        if max_len > config.max_position_embeddings:
            raise ValueError(f"max_len={max_len} is more than the {config.max_position_embeddings} positions of {path}")
        ids = huggingface.numbering(huggingface.tokenizer_of(path), config.vocab_size)
        self.register_buffer("ids", torch.tensor(ids), persistent=False)
        if lora_rank:
            huggingface.add_lora(self.encoder, lora_rank, lora_alpha, dropout)
        self.knows_segments = getattr(config, "type_vocab_size", 1) > 1
        self.head = head
        self.pooling, self.layer_decay = pooling, layer_decay
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(config.hidden_size, num_outputs)

    def forward(self, tokens: Tensor, segments: Tensor | None = None) -> Tensor:
        """Tokens (B, T), int64, to (B, K), or (B, T, K) for tags and spans. Padding alone is read as one token.

        Segments (B, T), int64, say which of two texts a token belongs to, 0 or 1; an encoder that knows no segments
        tells the texts apart by the mark between them.
        """
        mask = torch.cat([torch.ones_like(tokens[:, :1]), (tokens[:, 1:] != 0).long()], dim=1)  # (B, T), 1 = keep
        which = {"token_type_ids": segments} if segments is not None and self.knows_segments else {}
        states = self.encoder(input_ids=self.ids[tokens], attention_mask=mask, **which).last_hidden_state  # (B, T, H)
        if self.head != "text":
            return self.output(self.dropout(states))  # (B, T, K)
        if self.pooling == "first":
            text = states[:, 0]  # (B, H)
        else:
            text = (states * mask.unsqueeze(2)).sum(dim=1) / mask.sum(dim=1, keepdim=True)  # (B, H)
        return self.output(self.dropout(text))

    def parameter_groups(self) -> list[dict[str, Any]]:
        """The encoder's parameters by layer, the lower the smaller their rate; the head has the full rate."""
        groups: dict[int, list[nn.Parameter]] = {}
        depth = self.encoder.config.num_hidden_layers
        for name, parameter in self.encoder.named_parameters():
            number = re.search(r"\.(\d+)\.", name)
            above = depth if "embed" in name else 0 if number is None else depth - 1 - int(number[1])
            groups.setdefault(above, []).append(parameter)
        return [{"params": groups[above], "lr_factor": self.layer_decay ** (above + 1)} for above in sorted(groups)]

    def save_files(self, folder: Path) -> None:
        """Leave out of the copied folder what the weights of the run replace."""
        for file in list((folder / "path").rglob("*")):
            if file.is_file() and file.suffix not in KEPT:
                file.unlink()
