"""Times the public peer on a model folder: diffusers' WanPipeline on the CPU, prompt to frames.

    python tests/opbench/peers/diffusers_render.py --model assets/mini --size 128x128 --frames 33 --steps 20 --cfg 4 --repeat 3

Prints one JSON line per type (f32 and bf16 unless --dtype says otherwise) and one with the better of them. Loading is not
timed; a render is prompt encoding, denoising and decoding to floats. Peak memory is of the process, so compare it from
runs with one --dtype. Compare with `zoetrope bench render` at the same settings, alternating the two programs.
"""

import argparse
import time

from common import DTYPES, emit, peak_rss_mib, set_up

import torch  # noqa: E402
from diffusers import AutoencoderKLWan, WanPipeline  # noqa: E402
from transformers import UMT5EncoderModel  # noqa: E402


def load(folder, dtype):
    # As the public examples do: the VAE in float32 when asked for, everything else in `dtype`.
    vae = AutoencoderKLWan.from_pretrained(folder, subfolder="vae", torch_dtype=dtype)
    text = UMT5EncoderModel.from_pretrained(folder, subfolder="text_encoder", torch_dtype=dtype)
    pipe = WanPipeline.from_pretrained(folder, vae=vae, text_encoder=text, torch_dtype=dtype)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def render(pipe, args):
    width, height = map(int, args.size.split("x"))
    marks = []
    decode = {"seconds": 0.0}
    plain_decode = pipe.vae.decode

    def timed_decode(*a, **k):
        begin = time.perf_counter()
        out = plain_decode(*a, **k)
        decode["seconds"] = time.perf_counter() - begin
        return out

    def on_step(_pipe, _i, _t, kwargs):
        marks.append(time.perf_counter())
        return kwargs

    pipe.vae.decode = timed_decode
    begin = time.perf_counter()
    pipe(args.prompt, negative_prompt=args.negative, height=height, width=width, num_frames=args.frames, num_inference_steps=args.steps,
         guidance_scale=args.cfg, generator=torch.Generator().manual_seed(args.seed), output_type="pt", callback_on_step_end=on_step,
         max_sequence_length=512)
    total = time.perf_counter() - begin
    pipe.vae.decode = plain_decode
    # The first step shares its mark with prompt encoding, so a step's time comes from the others.
    step = (marks[-1] - marks[0]) / (len(marks) - 1) if len(marks) > 1 else marks[0] - begin
    return dict(total_s=total, step_s=step, decode_s=decode["seconds"])


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--model", required=True)
    p.add_argument("--size", default="128x128")
    p.add_argument("--frames", type=int, default=33)
    p.add_argument("--steps", type=int, default=20)
    p.add_argument("--cfg", type=float, default=4.0)
    p.add_argument("--prompt", default="a red ball rolls over green hills")
    p.add_argument("--negative", default="")
    p.add_argument("--seed", type=int, default=42)
    p.add_argument("--repeat", type=int, default=3)
    p.add_argument("--warm", type=int, default=1, help="untimed renders first")
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--dtype", choices=["f32", "bf16", "both"], default="both")
    p.add_argument("--json", action="store_true", help="accepted for symmetry; output is always JSON lines")
    args = p.parse_args()
    machine = set_up(args.threads)
    best = None
    for name in ("f32", "bf16") if args.dtype == "both" else (args.dtype,):
        pipe = load(args.model, DTYPES[name])
        for _ in range(args.warm):
            render(pipe, args)
        runs = [render(pipe, args) for _ in range(args.repeat)]
        fastest = min(runs, key=lambda r: r["total_s"])
        record = dict(peer="diffusers", kind="render", dtype=name, size=args.size, frames=args.frames, steps=args.steps, cfg=args.cfg,
                      **fastest, all_total_s=[round(r["total_s"], 4) for r in runs], peak_rss_mib=peak_rss_mib(), **machine)
        emit(**record)
        if best is None or record["total_s"] < best["total_s"]:
            best = record
        del pipe
    emit(**dict(best, kind="render_best"))


main()
