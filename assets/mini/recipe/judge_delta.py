"""Held-out prompts through a delta (or the dense model) on a card in seconds, judged: what training needs to know at once.

The sampler is diffusers', the transformer dit_fast.py with the delta in it. judge.py, on clips of the program itself, has the last word.
"""
import argparse
import json
import multiprocessing as mp
import os
import time
import torch
from safetensors.torch import load_file
import dit_fast as D
import text as T
import vae_fast as V
import variants
from dit_train import TEXT, load_pipeline_weights, start_net
from half import HALF, autocast
from judge_net import Judge, score, tally
from pool import load_vae
from samples import judge_prompts


class Sampler:
    def __init__(self, model, dev):
        from diffusers import UniPCMultistepScheduler
        self.tok, self.dev, self.scheduler = T.Tokenizer(os.path.join(model, "tokenizer")), dev, UniPCMultistepScheduler.from_pretrained(model, subfolder="scheduler")
        self.net = start_net(self.tok, 320, 7)
        self.net.load_state_dict(load_pipeline_weights(model), strict=False)
        self.net.to(dev).eval()
        vae = load_vae(model).to(dev)
        self.mean, self.std = (torch.tensor(v, device=dev).view(1, 16, 1, 1, 1) for v in (vae.config.latents_mean, vae.config.latents_std))
        self.vae = vae.to(HALF)
        V.patch_card(False)

    @torch.no_grad()
    def __call__(self, captions, first, attend, params, dense_steps, cfg=4.0, steps=20, shape=(9, 16, 16)):
        """uint8 [N,F,H,W,3]; sample i of the run starts from seed i"""
        n = len(captions)
        ids, length = self.tok(captions + [""] * n, TEXT)
        ids, length = ids.to(self.dev), length.to(self.dev)
        with autocast(self.dev):
            ctx = T.encode(self.net["te"], ids, length).float()
        x = torch.stack([torch.randn(16, *shape, generator=torch.Generator().manual_seed(first + i)) for i in range(n)]).to(self.dev)
        self.scheduler.set_timesteps(steps, device=self.dev)
        total = torch.full_like(length, 512)
        for i, t in enumerate(self.scheduler.timesteps):
            how = (D.dense, None) if i < dense_steps and attend else (attend or D.dense, params)
            v = D.forward(self.net["dit"], torch.cat([x, x]), t.float().expand(2 * n), ctx, length, total, how[0], how[1])
            x = self.scheduler.step(variants.guided(v, cfg), t, x, return_dict=False)[0]
        z = (x * self.std + self.mean).to(HALF)
        y = torch.cat([V.decode(self.vae, z[i:i + 1]) for i in range(n)]).float()
        return ((y.clamp(-1, 1) + 1) * 127.5 + 0.5).to(torch.uint8).permute(0, 2, 3, 4, 1).cpu().numpy()


def answer(video):
    return judge(video)


def start_judge(path):
    global judge
    torch.set_num_threads(1)
    judge = Judge(path)


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--model", default="..")
    ap.add_argument("--judge", default="judge.pt")
    ap.add_argument("--delta", default=None, help="a delta.safetensors of sparse-linear attention; none: dense")
    ap.add_argument("--dense-steps", type=int, nargs="+", default=[0], help="first steps without the delta; several: one table each")
    ap.add_argument("--one", type=int, default=200)
    ap.add_argument("--two", type=int, default=60)
    ap.add_argument("--batch", type=int, default=65)
    ap.add_argument("--procs", type=int, default=os.cpu_count())
    ap.add_argument("--device", default="cuda")
    a = ap.parse_args()
    todo = judge_prompts(a.one, a.two)
    with mp.get_context("spawn").Pool(a.procs, start_judge, (a.judge,)) as pool:
        s = Sampler(a.model, a.device)
        attend, params = None, None
        if a.delta:
            attend = variants.sla
            params = variants.Delta(s.net["dit"], proj=True).load(load_file(a.delta)).to(a.device).params(s.net["dit"])
        for dense_steps in a.dense_steps:
            begin, pending = time.time(), []
            for i in range(0, len(todo), a.batch):
                v = s([c for c, _ in todo[i:i + a.batch]], i, attend, params, dense_steps)
                pending += [pool.apply_async(answer, (clip,)) for clip in v]
            scores = [score(p.get(), scene) for p, (_, scene) in zip(pending, todo)]
            print(json.dumps(dict(delta=a.delta, dense_steps=dense_steps, one=tally(scores[:a.one]), two=tally(scores[a.one:]),
                                  seconds=round(time.time() - begin, 1))), flush=True)


if __name__ == "__main__":
    main()
