"""Times the public peer at real sizes with random weights: one forward pass of the Wan2.1-T2V-1.3B transformer and one VAE
decode (base 96), on the CPU.

    python tests/opbench/peers/diffusers_shapes.py [--what transformer|decode] [--dtype bf16|f32|both] [--shape 256x256x17 ...]

Shapes are pixels x pixels x frames (height x width). Defaults: transformer 256x256x17 and 480x832x5, decode 256x256x17; add
--shape 480x832x17 where there is time. One JSON line each, with the peak resident memory of the process so far: for a
figure of one shape run it alone.
"""

import argparse

from common import DTYPES, emit, peak_rss_mib, set_up, timed

import torch  # noqa: E402
from diffusers import AutoencoderKLWan, WanTransformer3DModel  # noqa: E402


def build(cls, dtype, **config):
    """Random weights made directly in `dtype`, norms kept in float32 as from_pretrained would."""
    default = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        model = cls(**config)
    finally:
        torch.set_default_dtype(default)
    keep = tuple(getattr(cls, "_keep_in_fp32_modules", None) or ())
    for name, module in model.named_modules():
        if keep and any(part in keep for part in name.split(".")):
            module.to(torch.float32)
    for name, p in model.named_parameters(recurse=True):
        if keep and any(k in name for k in keep):
            p.data = p.data.float()
    return model.eval()


def transformer(dtype, shapes, repeat, machine, name):
    model = build(WanTransformer3DModel, dtype, num_attention_heads=12, attention_head_dim=128, ffn_dim=8960, num_layers=30, text_dim=4096,
                  freq_dim=256, in_channels=16, out_channels=16)
    for h, w, frames in shapes:
        x = torch.randn((1, 16, (frames - 1) // 4 + 1, h // 8, w // 8)).to(dtype)
        text = torch.randn((1, 512, 4096)).to(dtype)
        t = torch.tensor([500])
        seconds = timed(lambda: model(x, t, text, return_dict=False), repeat)
        emit(peer="diffusers", kind="transformer_step", model="wan2.1-t2v-1.3b", dtype=name, height=h, width=w, frames=frames,
             best_s=min(seconds), all_s=[round(s, 4) for s in seconds], peak_rss_mib=peak_rss_mib(), **machine)


def decode(dtype, shapes, repeat, machine, name):
    model = build(AutoencoderKLWan, dtype)
    for h, w, frames in shapes:
        z = torch.randn((1, 16, (frames - 1) // 4 + 1, h // 8, w // 8)).to(dtype)
        seconds = timed(lambda: model.decode(z, return_dict=False), repeat)
        emit(peer="diffusers", kind="vae_decode", base_dim=96, dtype=name, height=h, width=w, frames=frames, best_s=min(seconds),
             all_s=[round(s, 4) for s in seconds], peak_rss_mib=peak_rss_mib(), **machine)


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--what", choices=["transformer", "decode", "both"], default="both")
    p.add_argument("--dtype", choices=["bf16", "f32", "both"], default="bf16")
    p.add_argument("--shape", action="append", help="HxWxF; may be repeated")
    p.add_argument("--repeat", type=int, default=2)
    p.add_argument("--threads", type=int, default=2)
    args = p.parse_args()
    machine = set_up(args.threads)
    given = [tuple(map(int, s.split("x"))) for s in args.shape or []]
    for name in ("bf16", "f32") if args.dtype == "both" else (args.dtype,):
        if args.what != "decode":
            transformer(DTYPES[name], given or [(256, 256, 17), (480, 832, 5)], args.repeat, machine, name)
        if args.what != "transformer":
            decode(DTYPES[name], given or [(256, 256, 17)], args.repeat, machine, name)


main()
