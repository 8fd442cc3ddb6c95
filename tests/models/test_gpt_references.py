"""With copied weights GPT says what GPT-2 and Llama of Hugging Face say."""

import pytest
import torch
from torchs_blocks import draw_all, within

from runner.models.gpt import GPT

transformers = pytest.importorskip("transformers", reason='pip install "runner[pretrained]"')
V, E, N, G, L, T, F = 50, 32, 4, 2, 3, 16, 48
TOKENS = torch.randint(1, V, (3, T), generator=torch.Generator().manual_seed(0))


def compare(ours: GPT, theirs: torch.nn.Module, weights: dict[str, torch.Tensor]) -> None:
    theirs.load_state_dict(weights)
    with torch.inference_mode():
        torch.testing.assert_close(ours(TOKENS), theirs.eval()(TOKENS).logits, rtol=0, atol=1e-5)


def test_gpt_2() -> None:
    ours = GPT(V, T, E, N, L).eval()
    draw_all(ours)
    config = transformers.GPT2Config(
        vocab_size=V, n_positions=T, n_embd=E, n_layer=L, n_head=N, activation_function="gelu", eos_token_id=None
    )
    weights = {
        "transformer.wte.weight": ours.embedding.weight,
        "lm_head.weight": ours.embedding.weight,
        "transformer.wpe.weight": ours.positions.weight,
    } | within("transformer.ln_f", ours.norm.state_dict())
    for number, block in enumerate(ours.blocks):
        attention, feed_forward = block.attention, block.feed_forward
        three = [attention.query, attention.key_value]
        parts = {
            "attn.c_attn.weight": torch.cat([part.weight for part in three]).T,
            "attn.c_attn.bias": torch.cat([part.bias for part in three]),
        }
        for name, layer in {"attn.c_proj": attention.output, "mlp.c_fc": feed_forward.inner,
                            "mlp.c_proj": feed_forward.output}.items():  # fmt: skip
            parts |= {f"{name}.weight": layer.weight.T, f"{name}.bias": layer.bias}
        parts |= within("ln_1", block.around_attention.norm.state_dict())
        parts |= within("ln_2", block.around_feed_forward.norm.state_dict())
        weights |= within(f"transformer.h.{number}", parts)
    compare(ours, transformers.GPT2LMHeadModel(config), weights)


def test_llama() -> None:
    ours = GPT(V, T, E, N, L, G, F, positions="rotary", activation="swiglu", norm="rms", bias=False, tied=False).eval()
    draw_all(ours)
    config = transformers.LlamaConfig(
        vocab_size=V, hidden_size=E, intermediate_size=F, num_hidden_layers=L, num_attention_heads=N,
        num_key_value_heads=G, max_position_embeddings=T, rms_norm_eps=1e-5, tie_word_embeddings=False,
    )  # fmt: skip
    weights = {
        "model.embed_tokens.weight": ours.embedding.weight,
        "model.norm.weight": ours.norm.weight,
        "lm_head.weight": ours.output.weight,
    }
    for number, block in enumerate(ours.blocks):
        attention, feed_forward = block.attention, block.feed_forward
        keys, values = attention.key_value.weight.chunk(2)
        parts = {
            "self_attn.q_proj": attention.query.weight,
            "self_attn.k_proj": keys,
            "self_attn.v_proj": values,
            "self_attn.o_proj": attention.output.weight,
            "mlp.up_proj": feed_forward.inner.weight,
            "mlp.gate_proj": feed_forward.gate.weight,
            "mlp.down_proj": feed_forward.output.weight,
            "input_layernorm": block.around_attention.norm.weight,
            "post_attention_layernorm": block.around_feed_forward.norm.weight,
        }
        weights |= {f"model.layers.{number}.{name}.weight": value for name, value in parts.items()}
    compare(ours, transformers.LlamaForCausalLM(config), weights)
