"""Writes text/NAME/{config.json, model.safetensors, expected.safetensors} and text/buckets.json: random-weight text encoders
of several shapes and what transformers 5 computes with them in float32.

    python tests/golden/text_golden.py

expected.safetensors holds ids_N and out_N for some lengths N. The inputs are padded and masked, as the pipeline does it.
"""

import json
import os

import torch
from safetensors.torch import save_file
from transformers import T5Config, T5EncoderModel, UMT5Config, UMT5EncoderModel
from transformers.models.umt5.modeling_umt5 import UMT5Attention

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "text")

MODELS = {
    "umt5": (UMT5EncoderModel, UMT5Config(vocab_size=40, d_model=32, d_kv=8, d_ff=37, num_layers=3, num_heads=4,
                                          relative_attention_num_buckets=8)),
    "umt5-near": (UMT5EncoderModel, UMT5Config(vocab_size=30, d_model=48, d_kv=16, d_ff=40, num_layers=2, num_heads=2,
                                               relative_attention_num_buckets=32, relative_attention_max_distance=20)),
    "umt5-odd": (UMT5EncoderModel, UMT5Config(vocab_size=30, d_model=20, d_kv=5, d_ff=24, num_layers=2, num_heads=3,
                                              relative_attention_num_buckets=6, relative_attention_max_distance=9,
                                              layer_norm_epsilon=1e-3)),
    "t5-relu": (T5EncoderModel, T5Config(vocab_size=40, d_model=32, d_kv=8, d_ff=37, num_layers=3, num_heads=4,
                                         relative_attention_num_buckets=8)),
    "t5-gated": (T5EncoderModel, T5Config(vocab_size=30, d_model=24, d_kv=8, d_ff=30, num_layers=2, num_heads=2,
                                          relative_attention_num_buckets=16, feed_forward_proj="gated-gelu")),
}


def run_lengths(values):
    runs = []
    for v in values:
        if runs and runs[-1][0] == v:
            runs[-1][1] += 1
        else:
            runs.append([v, 1])
    return runs


def main():
    for seed, (name, (cls, config)) in enumerate(MODELS.items()):
        torch.manual_seed(seed)
        model = cls(config).eval()
        for p in model.parameters():  # biases and norms away from their trivial initial values
            p.data.add_(torch.randn_like(p) * 0.05)
        folder = os.path.join(HERE, name)
        model.save_pretrained(folder)
        expected = {}
        for n in (1, 7, 33):
            ids = torch.randint(0, config.vocab_size, (1, n + 5))
            mask = torch.zeros_like(ids)
            mask[0, :n] = 1
            with torch.no_grad():
                out = model(ids, mask).last_hidden_state[0, :n]
            expected[f"ids_{n}"] = ids[0, :n].to(torch.int32)
            expected[f"out_{n}"] = out.contiguous()
        save_file(expected, os.path.join(folder, "expected.safetensors"))
    deltas = torch.arange(-512, 513)[None]
    buckets = []
    for count, distance in [(32, 128), (8, 128), (8, 16), (16, 20), (6, 9), (5, 40), (4, 7), (64, 1000), (12, 32), (4, 2)]:
        config = UMT5Config(relative_attention_num_buckets=count, relative_attention_max_distance=distance, num_layers=1)
        layer = UMT5Attention(config, has_relative_attention_bias=True)
        values = layer._relative_position_bucket(deltas.clone()).view(-1).tolist()
        buckets.append({"buckets": count, "max_distance": distance, "runs": run_lengths(values)})
    with open(os.path.join(HERE, "buckets.json"), "w") as f:
        f.write("[\n" + ",\n".join(json.dumps(b) for b in buckets) + "\n]\n")


if __name__ == "__main__":
    main()
