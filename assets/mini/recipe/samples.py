"""Stage 6: clips from a pipeline folder through the stock diffusers WanPipeline, and a contact sheet, one row a prompt.

The prompts are not chosen by hand: a file with one a line, or the first --count held-out ones.
"""
import argparse
import json
import os
import time
import numpy as np
import torch
from half import autocast
from world import World, contact


def load(folder, device="cpu"):
    from diffusers import WanPipeline
    pipe = WanPipeline.from_pretrained(folder, torch_dtype=torch.float32).to(device)
    pipe.set_progress_bar_config(disable=True)
    return pipe


@torch.no_grad()
def run(pipe, prompts, seed=0, w=128, h=128, f=33, steps=20, cfg=4.0):
    """uint8 [N,F,H,W,3]. Each prompt has its own generator, so that the batch size does not change the clips."""
    gens = [torch.Generator().manual_seed(seed + i) for i in range(len(prompts))]
    with autocast(pipe.device.type):
        out = pipe(prompt=prompts, negative_prompt=[""] * len(prompts), height=h, width=w, num_frames=f, num_inference_steps=steps,
                   guidance_scale=cfg, generator=gens, output_type="np", max_sequence_length=512).frames
    return (np.clip(np.asarray(out), 0, 1) * 255 + 0.5).astype(np.uint8)


def held_out_prompts(n, count=1, seed=910_000_000, preset="core"):
    """Held-out combinations with full captions, and what they ask for."""
    world = World(preset, "test", draw=False)
    return [(c, s) for _, s, c in (world.text(seed + i, count=count, full=True) for i in range(n))]


def judge_prompts(one, two):
    """What the judge asks for: prompts with one subject, then with two."""
    return held_out_prompts(one) + held_out_prompts(two, count=2, seed=920_000_000)


def clip_arguments(ap):
    """What every program that makes clips asks for; `clips` reads it."""
    ap.add_argument("--cfg", type=float, default=4.0)
    ap.add_argument("--steps", type=int, default=20)
    ap.add_argument("--width", type=int, default=128)
    ap.add_argument("--height", type=int, default=128)
    ap.add_argument("--frames", type=int, default=33)
    ap.add_argument("--seed", type=int, default=0)
    ap.add_argument("--batch", type=int, default=4)


def clips(pipe, prompts, a):
    """A clip a prompt, in order, made --batch at a time; prompt i has seed --seed + i."""
    for i in range(0, len(prompts), a.batch):
        yield from run(pipe, prompts[i:i + a.batch], a.seed + i, a.width, a.height, a.frames, a.steps, a.cfg)


def main():
    ap = argparse.ArgumentParser(description=__doc__)
    ap.add_argument("--model", required=True)
    ap.add_argument("--out", required=True, help="PNG")
    ap.add_argument("--prompts", default=None, help="text file, one prompt a line")
    ap.add_argument("--count", type=int, default=40)
    clip_arguments(ap)
    ap.add_argument("--columns", type=int, default=5)
    a = ap.parse_args()
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    prompts = [l.strip() for l in open(a.prompts) if l.strip()] if a.prompts else [c for c, _ in held_out_prompts(a.count)]
    prompts, pipe, rows, t = prompts[:a.count], load(a.model), [], time.time()
    for v in clips(pipe, prompts, a):
        rows.append(list(v[np.linspace(0, len(v) - 1, a.columns).astype(int)]))
    print(json.dumps(dict(sheet=a.out, prompts=prompts, seconds_a_clip=round((time.time() - t) / len(rows), 2))))
    half = (len(rows) + 1) // 2
    blank = [np.full_like(rows[0][0], 255)] * a.columns
    gap = np.full((a.height, 8, 3), 255, np.uint8)
    contact([r + [gap] + (rows[i + half] if i + half < len(rows) else blank) for i, r in enumerate(rows[:half])], a.out, min(1, 96 / a.height))


if __name__ == "__main__":
    main()
