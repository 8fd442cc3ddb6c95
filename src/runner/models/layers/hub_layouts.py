"""Our nets in the words of the package transformers: our BERT is theirs, our GPT is their GPT-2 or their Llama."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from runner.models.layers.blocks import EPS, Block, FeedForward, MultiHeadAttention

Weights = dict[str, Tensor]


class Layout(NamedTuple):
    """A net in the words of the package transformers.

    Args:
        config: name of the class of its configuration.
        model: name of its class.
        settings: of the configuration.
        weights: by their names.
    """

    config: str
    model: str
    settings: dict[str, Any]
    weights: Weights


def layer_as(name: str, layer: nn.Module) -> Weights:
    """The weights of a layer under another name."""
    return {f"{name}.{key}": value for key, value in layer.state_dict().items()}


def thirds(attention: MultiHeadAttention) -> dict[str, Weights]:
    """Weight and constants of what makes queries, keys and values."""
    keys, values = {}, {}
    for name, value in attention.key_value.state_dict().items():
        keys[name], values[name] = value.chunk(2)
    return {"query": attention.query.state_dict(), "key": keys, "value": values}


def prefixed(prefix: str, weights: Weights) -> Weights:
    return {f"{prefix}.{name}": value for name, value in weights.items()}


def bert_layout(net: Any) -> Layout:
    """Their BERT."""
    trunk = net.encoder
    blocks: list[Any] = list(trunk.blocks)
    settings = {
        "vocab_size": trunk.embedding.num_embeddings,
        "hidden_size": trunk.embedding.embedding_dim,
        "num_hidden_layers": len(blocks),
        "num_attention_heads": blocks[0].attention.num_heads,
        "intermediate_size": blocks[0].feed_forward.inner.out_features,
        "hidden_act": "gelu",
        "hidden_dropout_prob": net.dropout,
        "attention_probs_dropout_prob": 0.0,
        "max_position_embeddings": trunk.positions.num_embeddings,
        "type_vocab_size": trunk.segments.num_embeddings,
        "layer_norm_eps": EPS,
        "pad_token_id": 0,
    }
    weights = (
        layer_as("bert.embeddings.word_embeddings", trunk.embedding)
        | layer_as("bert.embeddings.position_embeddings", trunk.positions)
        | layer_as("bert.embeddings.token_type_embeddings", trunk.segments)
        | layer_as("bert.embeddings.LayerNorm", trunk.norm)
    )
    for number, block in enumerate(blocks):
        layer = f"bert.encoder.layer.{number}"
        for name, part in thirds(block.attention).items():
            weights |= prefixed(f"{layer}.attention.self.{name}", part)
        weights |= (
            layer_as(f"{layer}.attention.output.dense", block.attention.output)
            | layer_as(f"{layer}.attention.output.LayerNorm", block.around_attention.norm)
            | layer_as(f"{layer}.intermediate.dense", block.feed_forward.inner)
            | layer_as(f"{layer}.output.dense", block.feed_forward.output)
            | layer_as(f"{layer}.output.LayerNorm", block.around_feed_forward.norm)
        )
    if net.head in ("text", "masked"):
        weights |= layer_as("bert.pooler.dense", net.pooler)
    if net.head == "masked":
        words = net.words
        weights |= (
            layer_as("cls.predictions.transform.dense", words.inner)
            | layer_as("cls.predictions.transform.LayerNorm", words.norm)
            | layer_as("cls.predictions.decoder", words.output)
            | {"cls.predictions.bias": words.output.bias.detach()}
            | layer_as("cls.seq_relationship", net.elsewhere)
        )
    else:
        weights |= layer_as("qa_outputs" if net.head == "spans" else "classifier", net.output)
        settings["num_labels"] = net.output.out_features
    return Layout("BertConfig", BERTS[net.head], settings, weights)


BERTS = {
    "masked": "BertForPreTraining",
    "text": "BertForSequenceClassification",
    "tags": "BertForTokenClassification",
    "spans": "BertForQuestionAnswering",
}


def gpt_layout(net: Any) -> Layout:
    """Their GPT-2, or their Llama.

    Raises:
        ValueError: it is neither.
    """
    blocks: list[Any] = list(net.blocks)
    attention: MultiHeadAttention = blocks[0].attention
    feed_forward: FeedForward = blocks[0].feed_forward
    rms, gated = isinstance(net.norm, nn.RMSNorm), feed_forward.gate is not None
    bias = attention.query.bias is not None
    whole = attention.groups == attention.num_heads
    both = {
        "vocab_size": net.embedding.num_embeddings,
        "tie_word_embeddings": net.output.weight is net.embedding.weight,
        "pad_token_id": 0,
        **dict.fromkeys(("bos_token_id", "eos_token_id")),
    }
    if net.positions is not None and not rms and not gated and bias and whole:
        return gpt2_layout(net, blocks, both)
    if net.positions is None and rms and gated:
        return llama_layout(net, blocks, both | {"attention_bias": bias, "mlp_bias": bias})
    raise ValueError(
        "the package transformers has no such mixture. GPT-2: model.positions=learned model.norm=layer "
        "model.activation=gelu, all heads with their own keys, bias=true. Llama: model.positions=rotary model.norm=rms "
        "model.activation=swiglu. Take format=safetensors for others"
    )


def gpt2_layout(net: Any, blocks: list[Block], both: dict[str, Any]) -> Layout:
    """GPT-2, whose matrices stand the other way round."""
    assert net.positions is not None
    feed_forward = blocks[0].feed_forward
    settings = both | {
        "n_positions": net.max_len,
        "n_embd": net.embedding.embedding_dim,
        "n_layer": len(blocks),
        "n_head": blocks[0].attention.num_heads,
        "n_inner": feed_forward.inner.out_features,
        "activation_function": "relu" if feed_forward.activation is nn.functional.relu else "gelu",
        "layer_norm_epsilon": EPS,
        **dict.fromkeys(("resid_pdrop", "embd_pdrop"), net.dropout),
        "attn_pdrop": 0.0,
    }
    weights = (
        layer_as("transformer.wte", net.embedding)
        | layer_as("transformer.wpe", net.positions)
        | layer_as("transformer.ln_f", net.norm)
        | layer_as("lm_head", net.output)
    )
    for number, block in enumerate(blocks):
        name = f"transformer.h.{number}"
        parts = thirds(block.attention).values()
        layers: dict[str, Mapping[str, Tensor]] = {
            "attn.c_attn": {key: torch.cat([part[key] for part in parts]) for key in ("weight", "bias")},
            "attn.c_proj": block.attention.output.state_dict(),
            "mlp.c_fc": block.feed_forward.inner.state_dict(),
            "mlp.c_proj": block.feed_forward.output.state_dict(),
        }
        for layer, part in layers.items():
            weights |= {f"{name}.{layer}.weight": part["weight"].T, f"{name}.{layer}.bias": part["bias"]}
        weights |= layer_as(f"{name}.ln_1", block.around_attention.norm)
        weights |= layer_as(f"{name}.ln_2", block.around_feed_forward.norm)
    return Layout("GPT2Config", "GPT2LMHeadModel", settings, weights)


def llama_layout(net: Any, blocks: list[Block], both: dict[str, Any]) -> Layout:
    """Llama."""
    attention = blocks[0].attention
    settings = both | {
        "hidden_size": net.embedding.embedding_dim,
        "intermediate_size": blocks[0].feed_forward.inner.out_features,
        "num_hidden_layers": len(blocks),
        "num_attention_heads": attention.num_heads,
        "num_key_value_heads": attention.groups,
        "max_position_embeddings": net.max_len,
        "rms_norm_eps": EPS,
    }
    weights = (
        layer_as("model.embed_tokens", net.embedding)
        | layer_as("model.norm", net.norm)
        | layer_as("lm_head", net.output)
    )
    for number, block in enumerate(blocks):
        name, feed_forward = f"model.layers.{number}", block.feed_forward
        assert feed_forward.gate is not None
        for part, weight in thirds(block.attention).items():
            weights |= prefixed(f"{name}.self_attn.{part[0]}_proj", weight)
        weights |= (
            layer_as(f"{name}.self_attn.o_proj", block.attention.output)
            | layer_as(f"{name}.mlp.up_proj", feed_forward.inner)
            | layer_as(f"{name}.mlp.gate_proj", feed_forward.gate)
            | layer_as(f"{name}.mlp.down_proj", feed_forward.output)
            | layer_as(f"{name}.input_layernorm", block.around_attention.norm)
            | layer_as(f"{name}.post_attention_layernorm", block.around_feed_forward.norm)
        )
    return Layout("LlamaConfig", "LlamaForCausalLM", settings, weights)
