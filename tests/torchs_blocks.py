"""The weights of our attention and blocks under the names of torch's own."""

from torch import Tensor, cat, nn

from runner.models.layers.blocks import Block, MultiHeadAttention
from runner.models.transformer import DecoderBlock


def attention_weights(ours: MultiHeadAttention) -> dict[str, Tensor]:
    """Of nn.MultiheadAttention."""
    return {
        "in_proj_weight": cat([ours.query.weight, ours.key_value.weight]),
        "in_proj_bias": cat([ours.query.bias, ours.key_value.bias]),
        "out_proj.weight": ours.output.weight,
        "out_proj.bias": ours.output.bias,
    }


def within(name: str, weights: dict[str, Tensor]) -> dict[str, Tensor]:
    return {f"{name}.{key}": value for key, value in weights.items()}


def block_weights(ours: Block) -> dict[str, Tensor]:
    """Of nn.TransformerEncoderLayer, or of nn.TransformerDecoderLayer for a block that looks at a source."""
    norms = [ours.around_attention.norm, ours.around_feed_forward.norm]
    found = within("self_attn", attention_weights(ours.attention))
    if isinstance(ours, DecoderBlock):
        norms.insert(1, ours.around_source.norm)
        found |= within("multihead_attn", attention_weights(ours.at_source))
    found |= within("linear1", ours.feed_forward.inner.state_dict())
    found |= within("linear2", ours.feed_forward.output.state_dict())
    for number, norm in enumerate(norms, 1):
        found |= within(f"norm{number}", norm.state_dict())
    return found


def draw_all(net: nn.Module) -> None:
    """Random constants and norms too, and answers that differ."""
    for parameter in net.parameters():
        nn.init.normal_(parameter, std=0.3)
