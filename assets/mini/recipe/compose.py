"""Clips drawn by the graphics card, many at a time: the same scripts (world.py), sprites and pixel positions as World.sample.

Processes write the scripts (`Feed`), which is a few random numbers and a still background each; the card does the rest.
"""
import queue
import numpy as np
import torch
import torch.multiprocessing as mp
import vocab as V
from captions import caption
from sprites import LEVELS, Sprites
from world import World


def sprite_names():
    out = []
    for k, s in V.SUBJECTS.items():
        out += [(k, c) for c in V.COLOURS] if s.tinted else [(k, None)]
    return out


class Atlas:
    """Every sprite at every level in one row of premultiplied RGBA pixels."""

    def __init__(self, device):
        sprites, parts, self.start, o = Sprites(), [], {}, 0
        for i, (name, colour) in enumerate(sprite_names()):
            for n in LEVELS:
                parts.append(torch.from_numpy(np.ascontiguousarray(sprites.get(name, colour, n))).view(n * n, 4))
                self.start[i, n] = o
                o += n * n
        self.pixels = torch.cat(parts).to(device)
        levels = sorted(LEVELS)
        self.levels = torch.tensor(levels, device=device)
        self.first = torch.tensor([[self.start[i, n] for n in levels] for i in range(len(sprite_names()))], device=device)


def _bilinear(pixels, start, n, sx, sy):
    """RGBA at sprite positions sx, sy of squares of n x n pixels that begin at `start`; transparent outside."""
    x0, y0 = sx.floor(), sy.floor()
    fx, fy = (sx - x0)[..., None], (sy - y0)[..., None]
    out = 0
    for dx, dy in ((0, 0), (1, 0), (0, 1), (1, 1)):
        x, y = x0 + dx, y0 + dy
        inside = (x >= 0) & (x < n) & (y >= 0) & (y < n)
        at = start + (y.clamp(min=0).minimum(n - 1.0) * n + x.clamp(min=0).minimum(n - 1.0)).long()
        w = (fx if dx else 1 - fx) * (fy if dy else 1 - fy) * inside[..., None]
        out = out + pixels[at] * w
    return out


def _camera(still, cam):
    """Every frame's view of the still picture; borders repeat."""
    b, h, w, _ = still.shape
    z, o = cam[..., 0], cam[..., 1]
    x = torch.arange(w, device=still.device).float()
    y = torch.arange(h, device=still.device).float()
    mx, my = w / 2 - 0.5, h / 2 - 0.5
    sx = ((x - mx - o[..., None]) / z[..., None] + mx).clamp(0, w - 1)[:, :, None, :].expand(-1, -1, h, -1)
    sy = ((y - my) / z[..., None] + my).clamp(0, h - 1)[:, :, :, None].expand(-1, -1, -1, w)
    x0, y0 = sx.floor().long(), sy.floor().long()
    fx, fy = (sx - x0)[..., None], (sy - y0)[..., None]
    x1, y1 = (x0 + 1).clamp(max=w - 1), (y0 + 1).clamp(max=h - 1)
    i = torch.arange(b, device=still.device)[:, None, None, None]
    return (still[i, y0, x0] * (1 - fx) * (1 - fy) + still[i, y0, x1] * fx * (1 - fy)
            + still[i, y1, x0] * (1 - fx) * fy + still[i, y1, x1] * fx * fy)


@torch.no_grad()
def compose(atlas, batch):
    """A Feed batch -> clips fp32 [B,3,F,H,W] in -1..1"""
    still, cam, which, pos = (batch[k] for k in ("still", "cam", "which", "pos"))
    b, h, w, _ = still.shape
    frames = cam.shape[1]
    img = still.float() / 255
    img = _camera(img, cam) if bool((cam != torch.tensor([1.0, 0.0], device=cam.device)).any()) else img[:, None].expand(b, frames, h, w, 3)
    x = torch.arange(w, device=still.device).float()[None, None, None, :]
    y = torch.arange(h, device=still.device).float()[None, None, :, None]
    for a in range(which.shape[1]):
        cx, cy, size, angle, flip = pos[:, a].unbind(-1)            # [B,F]
        level = torch.searchsorted(atlas.levels.float(), size * 0.95).clamp(max=len(LEVELS) - 1)
        n = atlas.levels[level].float()
        start = atlas.first[which[:, a].clamp(min=0)[:, None], level]
        k = torch.where(which[:, a, None] < 0, torch.full_like(n, 1e9), n / size.clamp(min=1e-3))     # absent: all of it outside
        c, s, mid = torch.cos(angle) * k, torch.sin(angle) * k, (n - 1) / 2
        e = lambda t: t[:, :, None, None]
        dx, dy = x - e(cx - 0.5), y - e(cy - 0.5)
        p = _bilinear(atlas.pixels, e(start), e(n), e(flip * c) * dx + e(flip * s) * dy + e(mid), e(c) * dy - e(s) * dx + e(mid))
        absent = (which[:, a] < 0)[:, None, None, None, None]
        p = p.masked_fill(absent, 0)
        img = img * (1 - p[..., 3:]) + p[..., :3]
    return ((img * 255 + 0.5).floor().clamp(0, 255) / 127.5 - 1).permute(0, 4, 1, 2, 3)


def pack(scripts, tok, variants, rng):
    """Scripts of one size -> arrays; `variants` captions of each, written anew."""
    n, frames = len(scripts), len(scripts[0].zoom)
    index = {k: i for i, k in enumerate(sprite_names())}
    actors = max(len(c.actors) for c in scripts)
    which, pos = np.full((n, actors), -1, np.int64), np.ones((n, actors, frames, 5), np.float32)
    for i, c in enumerate(scripts):
        for j, p in enumerate(c.actors):
            which[i, j] = index[p.name, p.colour]
            pos[i, j] = np.stack([p.x, p.y, p.size, p.angle, np.full(frames, -1.0 if p.flip else 1.0)], -1)
    out = dict(still=np.stack([np.clip(c.still * 255 + 0.5, 0, 255).astype(np.uint8) for c in scripts]),
               cam=np.stack([np.stack([c.zoom, c.off], -1) for c in scripts]).astype(np.float32), which=which, pos=pos)
    if tok:
        words = [caption(rng, c.meta, rng.random() > 0.05, rng.random() > 0.08) for c in scripts for _ in range(variants)]
        ids, length = tok(words, 48)
        out.update(ids=ids.view(n, variants, 48).numpy().astype(np.int16), length=length.view(n, variants).numpy().astype(np.int16))
    return out


def crop(script, y, x, size):
    """A square part of the picture, as the VAE sees it: sprites cut by the border. A camera turns about the picture's middle,
    so its clips are cut around that."""
    if script.meta["camera"]:
        y = x = (script.still.shape[0] - size) // 2
    return script._replace(still=script.still[y:y + size, x:x + size], actors=[p._replace(x=p.x - x, y=p.y - y) for p in script.actors])


def crops(worlds, seed, n, frames, size):
    rng, out = np.random.default_rng(seed), []
    for i in range(n):
        w = worlds[int(rng.random() < 0.3)]
        px = ((26, 72) if rng.random() < 0.8 else (60, 130)) if size < 200 or rng.random() < 0.5 else None
        y, x = rng.integers(0, 33, 2)
        out.append(crop(w.script(seed + i, size + 32, size + 32, frames, size_px=px), y, x, size))
    return out


def whole(worlds, seed, n, frames, width, height, size_px):
    return [worlds[0].script(seed + i, width, height, frames, size_px=size_px) for i in range(n)]


def measured(worlds, seed, n, frames, width, height):
    """The first clips of vae_eval.py, whatever the seed."""
    return [worlds[2].script(900_000_000 + i, width, height, frames) for i in range(n)]


MAKERS = dict(crops=crops, whole=whole, measured=measured)


def _work(tokenizer, todo, done):
    torch.set_num_threads(1)
    from text import Tokenizer
    tok = Tokenizer(tokenizer)
    worlds = (World("core", draw=False), World("wide", split="any", draw=False), World("core", "test", draw=False))
    while True:
        tag, maker, seed, variants, args = todo.get()
        scripts = MAKERS[maker](worlds, seed, *args)
        done.put((tag, pack(scripts, tok if variants else None, variants, np.random.default_rng(seed))))


class Feed:
    """Batches of scripts from `procs` processes, asked for ahead of use. `ask` a kind as often as it shall be in flight."""

    def __init__(self, procs, tokenizer, seed=20_000_000):
        ctx = mp.get_context("fork")
        self.todo, self.done = ctx.SimpleQueue(), ctx.Queue()
        self.seed, self.kinds, self.ready = seed, {}, {}
        self.procs = [ctx.Process(target=_work, args=(tokenizer, self.todo, self.done), daemon=True) for _ in range(procs)]
        for p in self.procs:
            p.start()

    def ask(self, tag, maker, variants, args, ahead):
        self.kinds[tag] = (maker, variants, args)
        self.ready[tag] = []
        for _ in range(ahead):
            self._order(tag)

    def drop(self, tag):
        self.kinds.pop(tag, None)
        self.ready.pop(tag, None)

    def _order(self, tag):
        maker, variants, args = self.kinds[tag]
        self.todo.put((tag, maker, self.seed, variants, args))
        self.seed += 100_000 if maker == "crops" else args[0]

    def _take(self, block):
        try:
            tag, batch = self.done.get(block, timeout=60 if block else None)
        except queue.Empty:
            return False
        if tag in self.kinds:
            self.ready[tag].append(batch)
        return True

    def get(self, tag, device, block=True):
        """The next batch as tensors on the device; None when not blocking and none is there."""
        while self._take(False):
            pass
        while not self.ready[tag]:
            if not block:
                return None
            if not self._take(True):
                raise RuntimeError("the scripts' processes have stopped")
        batch = self.ready[tag].pop(0)
        self._order(tag)
        return {k: torch.from_numpy(v).to(device, non_blocking=True) for k, v in batch.items()}

    def close(self):
        for p in self.procs:
            p.kill()


def check():
    """Largest and mean difference, in 255ths, between the card's drawing and World.sample."""
    world, worst, mean = World("wide"), 0.0, []
    atlas = Atlas("cpu")
    for seed in range(12):
        ref = world.sample(seed, 96, 80, 9)["video"]
        b = pack([world.script(seed, 96, 80, 9)], None, 0, None)
        v = compose(atlas, {k: torch.from_numpy(x) for k, x in b.items()})[0].permute(1, 2, 3, 0).numpy()
        d = np.abs((v + 1) * 127.5 - ref)
        worst, mean = max(worst, d.max()), mean + [d.mean()]
    return worst, float(np.mean(mean))


if __name__ == "__main__":
    print("largest difference from World.sample %.1f, mean %.3f (of 255)" % check())
