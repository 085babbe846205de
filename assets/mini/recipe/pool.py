"""Stage 2: the latent pool: clips encoded once and used several times, on disk and shared by the training processes.

Encoding a clip costs about as much as training on it once. So the pool is filled for at most a few minutes, training
starts, and while it trains each process goes on replacing the oldest clips by new ones, each clip being used --reuse times
on average. Only seeds are stored beside the latents; a caption is written anew each time a clip is used.
"""
import argparse
import json
import os
import time
import numpy as np
import torch
import vae_fast as V
from captions import caption
from half import HALF
from parallel import launch, load_checkpoint
from world import World


def load_vae(path, dtype=torch.float32):
    """EMA weights of a vae_train checkpoint, or the vae of a pipeline folder."""
    if os.path.isdir(path):
        return V.AutoencoderKLWan.from_pretrained(path, subfolder="vae", torch_dtype=dtype).eval()
    d = load_checkpoint(path)
    vae = V.build(d["base"], d["blocks"])
    vae.load_state_dict(d["ema"])
    for p in vae.parameters():                                      # .to() would warn about layers that this class has not got
        p.data = p.data.to(dtype)
    return vae.eval()


class Pool:
    """Memory-mapped latents and seeds. `procs` writers keep to their own slots (slot % procs == rank)."""

    def __init__(self, path, cfg=None):
        self.path = path
        f = os.path.join(path, "pool.json")
        new = not os.path.exists(f)
        if new:
            os.makedirs(path, exist_ok=True)
            json.dump(cfg, open(f, "w"), indent=1)
        self.cfg = c = json.load(open(f))
        shape = (c["capacity"], 16, (c["frames"] - 1) // 4 + 1, c["height"] // 8, c["width"] // 8)
        mode = "w+" if new else "r+"
        self.x = np.memmap(os.path.join(path, "latents.f16"), np.float16, mode, shape=shape)
        self.seed = np.memmap(os.path.join(path, "seeds.i64"), np.int64, mode, shape=shape[:1])     # 0: slot is empty
        self.world = World(c["preset"])

    def filled(self):
        """The slots of every process fill in step, so the filled ones are (almost) a prefix. A copy is searched: the other
        process may fill a slot meanwhile, which numpy refuses to see."""
        return np.flatnonzero(np.array(self.seed))

    def stats(self):
        """Per-channel mean and deviation; from here they go into the VAE's config."""
        x = np.asarray(self.x[self.filled()[:512]]).astype(np.float32)
        return x.mean((0, 2, 3, 4)), x.std((0, 2, 3, 4))

    def captions(self, idx, rng):
        out = []
        for i in idx:
            scene = self.world.text(int(self.seed[i]))[1]
            out.append(caption(rng, scene, rng.random() > 0.05, rng.random() > 0.08))
        return out

    def refresh(self, vae, rank, procs, count):
        """Encode `count` new clips into this process's next slots."""
        c = self.cfg
        mine = np.arange(rank, c["capacity"], procs)
        # the next slot is the empty one, else the one with the oldest (smallest) seed
        first = int(np.argmin(self.seed[mine]))
        top = int(self.seed[mine].max()) or c["seed"] + rank
        slots = [int(mine[(first + i) % len(mine)]) for i in range(count)]
        seeds = [top + procs * (i + 1) for i in range(count)]
        px = tuple(c["size_px"]) if c["size_px"] else None
        v = np.stack([self.world.sample(s, c["width"], c["height"], c["frames"], size_px=px)["video"] for s in seeds])
        x = (torch.from_numpy(v).permute(0, 4, 1, 2, 3).float() / 127.5 - 1).to(HALF).contiguous(memory_format=V.CL3)
        with torch.no_grad():
            z = V.encode(vae, x)[0].float().numpy()
        for i, (k, s) in enumerate(zip(slots, seeds)):
            self.x[k], self.seed[k] = z[i], s


def fill(rank, a, pool):
    torch.set_num_threads(1)
    vae = load_vae(a.vae, HALF)
    want = min(a.count, pool.cfg["capacity"])
    end, t0, k = time.time() + a.minutes * 60, time.time(), max(1, 280_000 // (a.width * a.height * a.frames))
    n0 = len(pool.filled())
    while time.time() < end and np.count_nonzero(pool.seed[rank::a.procs]) < want // a.procs:
        pool.refresh(vae, rank, a.procs, k)
    if rank == 0:
        n = len(pool.filled())
        print(json.dumps(dict(pool=a.out, clips=n, clips_s=round((n - n0) / max(time.time() - t0, 1e-3), 2))), flush=True)


def main():
    ap = argparse.ArgumentParser(description=__doc__)
    ap.add_argument("--vae", required=True)
    ap.add_argument("--out", required=True)
    ap.add_argument("--width", type=int, default=128)
    ap.add_argument("--height", type=int, default=128)
    ap.add_argument("--frames", type=int, default=33)
    ap.add_argument("--count", type=int, default=4096, help="clips to start with")
    ap.add_argument("--capacity", type=int, default=16384, help="clips kept; the oldest are overwritten while training")
    ap.add_argument("--minutes", type=float, default=5)
    ap.add_argument("--size-px", type=float, nargs=2, default=None)
    ap.add_argument("--preset", default="core")
    ap.add_argument("--seed", type=int, default=20_000_000)
    ap.add_argument("--procs", type=int, default=2)
    ap.add_argument("--eager", action="store_true")
    a = ap.parse_args()
    torch.set_num_threads(1)
    V.patch()
    if not a.eager:
        V.compile_norm()
    cfg = {k: getattr(a, k) for k in ("width", "height", "frames", "capacity", "size_px", "preset", "seed")}
    launch(fill, a.procs, a, Pool(a.out, cfg))


if __name__ == "__main__":
    main()
