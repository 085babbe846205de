"""Fit the judge on rendered clips only."""
import argparse
import functools
import json
import multiprocessing
import os
import time
import cv2
import numpy as np
import torch
import torch.nn.functional as F
from judge_net import GRID, PLACES, SIDE, Judge, look, place_name
from parallel import save_atomic
from vocab import SUBJECTS
from world import World


def spoil(f, rng):
    """What a compressor and a small model do to a picture, roughly: softness, grain, a shift of tone."""
    f = f.astype(np.float32)
    if rng.random() < 0.6:
        f = cv2.GaussianBlur(f, (0, 0), rng.uniform(0.3, 1.8))
    if rng.random() < 0.3:
        k = rng.uniform(0.4, 0.8)
        f = cv2.resize(cv2.resize(f, None, fx=k, fy=k, interpolation=cv2.INTER_AREA), f.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    f = f * rng.uniform(0.94, 1.06) + rng.uniform(-6, 6) + rng.normal(0, rng.uniform(0, 6), f.shape)
    return np.clip(f, 0, 255).astype(np.uint8)


def frames(world, seed, n, per=4, size=128):
    """Pictures with the part of each cell that each subject covers, and the colours."""
    rng, p = np.random.default_rng(seed), world.p
    xs, ys, cs = [], [], []
    # subjects that come in all colours differ by outline alone and are learned last, so they are shown more often
    plain = [k for k in p.subjects if SUBJECTS[k].tinted]
    for i in range(n // per):
        first = plain[rng.integers(len(plain))] if rng.random() < 0.35 else None
        c = world.sample(seed + i, size, size, 33, only=sorted(rng.choice(33, per, replace=False)), subject=first)
        subs = c["meta"]["subjects"]
        for v, l in zip(c["video"], c["labels"]):
            xs.append(cv2.resize(spoil(v, rng), (SIDE, SIDE), interpolation=cv2.INTER_AREA))
            part = np.zeros((len(p.subjects) + 1, GRID, GRID), np.float32)
            tint = np.zeros((len(p.colours), GRID, GRID), np.float32)
            for k in range(len(subs) + 1):
                m = (l == k).astype(np.float32).reshape(GRID, size // GRID, GRID, -1).mean((1, 3))
                part[0 if k == 0 else 1 + p.subjects.index(subs[k - 1][0])] += m
                if k and subs[k - 1][1]:
                    tint[p.colours.index(subs[k - 1][1])] += m
            ys.append(part)
            cs.append(tint)
    x = torch.from_numpy(np.stack(xs)).permute(0, 3, 1, 2).float() / 127.5 - 1
    return x, torch.from_numpy(np.stack(ys)), torch.from_numpy(np.stack(cs))


@functools.lru_cache
def drawn(preset, counts):
    """A world of this process, with its sprites."""
    return World(preset, "any", counts=counts)


def _batch(preset, seed, n):
    """One step's pictures, the same whichever process draws them."""
    return [t.numpy() for t in frames(drawn(preset, (0.55, 0.3, 0.15)), seed, n)]              # tensors would travel by file descriptors


def batches(a, first, steps):
    """In order, from --procs processes or this one."""
    todo = [(a.preset, a.seed + i * a.batch, a.batch) for i in range(first, steps)]
    if a.procs == 1:
        yield from (_batch(*t) for t in todo)
        return
    with multiprocessing.get_context("fork").Pool(a.procs, cv2.setNumThreads, (0,)) as pool:
        for i in range(0, len(todo), 8 * a.procs):                                              # some steps ahead, not all of them
            yield from pool.starmap(_batch, todo[i:i + 8 * a.procs], 1)


def fit_net(j, a, end):
    """True when all frames have been seen; otherwise the state is in --out + ".part" and the same command goes on."""
    j.net.to(a.device)
    opt = torch.optim.AdamW(j.net.parameters(), lr=a.lr, weight_decay=0.01)
    steps, part, i, acc = max(1, a.frames // a.batch), a.out + ".part", 0, []
    if os.path.exists(part):
        d = torch.load(part, weights_only=False)
        j.net.load_state_dict(d["net"])
        opt.load_state_dict(d["opt"])
        i = d["step"]
    j.net.train().to(memory_format=torch.channels_last)
    saved = time.time()
    for b in batches(a, i, steps):
        if time.time() >= end:
            break
        opt.param_groups[0]["lr"] = a.lr * min(1, (i + 1) / 50) * (0.02 + 0.98 * 0.5 * (1 + np.cos(np.pi * i / steps)))
        x, y, c = (torch.from_numpy(t).to(a.device) for t in b)
        s, k = j.net(x.contiguous(memory_format=torch.channels_last))
        loss = -(y * F.log_softmax(s, 1)).sum(1).mean() - (c * F.log_softmax(k, 1)).sum(1).mean()
        opt.zero_grad()
        loss.backward()
        opt.step()
        i += 1
        acc.append(loss.detach())
        if i % 100 == 0 or i == steps:
            print(json.dumps(dict(step=i, of=steps, loss=round(float(torch.stack(acc).mean()), 4))), flush=True)
            acc = []
        if time.time() - saved > 90 or i == steps or time.time() >= end:
            save_atomic(dict(net=j.net.state_dict(), opt=opt.state_dict(), step=i), part)
            saved = time.time()
    j.net.eval().cpu()
    return i >= steps


def seen(j, counts, seed, spoiled):
    """What the network sees of a drawn clip, and the scene."""
    torch.set_num_threads(1)
    c, rng = drawn(j.preset, counts).sample(seed, 128, 128, 33), np.random.default_rng(seed)
    return look(j.net, np.stack([spoil(f, rng) for f in c["video"]]) if spoiled else c["video"]), c["meta"]


def fit_heads(j, n, seed, procs):
    """On whole clips, half of them spoiled, after the network is final."""
    todo = [(j, (1, 0, 0) if i < n else (0.4, 0.4, 0.2), seed + i, i % 2) for i in range(2 * n)]
    data = {k: ([], []) for k in j.heads}
    with multiprocessing.get_context("fork").Pool(procs) as pool:
        clips = pool.starmap(seen, todo, 16)
    for i, (m, s) in enumerate(clips):
        if i < n:
            data["motion"][0].append(m["motion"])
            data["motion"][1].append(j.p.motions.index(s["motions"][0]))
        data["place"][0].append(m["place"])
        data["place"][1].append(PLACES.index(place_name(s)))
        data["count"][0].append(m["count"])
        data["count"][1].append(len(s["subjects"]) - 1)
    for k, classes in (("motion", len(j.p.motions)), ("place", len(PLACES)), ("count", 3)):
        j.heads[k].fit(*data[k], classes)


def main():
    ap = argparse.ArgumentParser(description=__doc__)
    ap.add_argument("--out", required=True)
    ap.add_argument("--frames", type=int, default=128_000)
    ap.add_argument("--clips", type=int, default=None, help="for the linear parts; default a 200th of --frames")
    ap.add_argument("--minutes", type=float, default=1e6, help="stop (and save) after this long")
    ap.add_argument("--batch", type=int, default=64)
    ap.add_argument("--lr", type=float, default=3e-3)
    ap.add_argument("--preset", default="core")
    ap.add_argument("--seed", type=int, default=50_000_000)
    ap.add_argument("--procs", type=int, default=1, help="processes that draw")
    ap.add_argument("--device", default="cpu")
    a = ap.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    j = Judge(preset=a.preset)
    if fit_net(j, a, time.time() + a.minutes * 60):
        fit_heads(j, a.clips or max(60, a.frames // 200), a.seed + 500_000_000, a.procs)
        j.save(a.out)
        os.remove(a.out + ".part")


if __name__ == "__main__":
    main()
