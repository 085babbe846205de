"""Held-out PSNR of a VAE, a sheet of reconstructions (above: rendered, below: decoded), and the latents' mean and deviation.

Clips come from the `test` split of the core world, whole pictures, not crops. The latent statistics go into the exported
VAE's config and into the transformer's training, so they are measured once, when the encoder is final.
"""
import argparse
import json
import numpy as np
import torch
import vae_fast as V
from pool import load_vae
from world import World, contact

SIZES = {"64": (64, 64, 17, 16), "128": (128, 128, 33, 12), "256": (256, 256, 33, 3)}      # width, height, frames, clips


@torch.no_grad()
def round_trip(vae, video):
    """uint8 [F,H,W,3] -> the same after encoding and decoding, and the latent"""
    x = torch.from_numpy(video).permute(3, 0, 1, 2)[None].float().contiguous(memory_format=V.CL3) / 127.5 - 1
    z = V.encode(vae, x)[0]
    y = ((V.decode(vae, z).clamp(-1, 1) + 1) * 127.5).round().byte()
    return y[0].permute(1, 2, 3, 0).numpy(), z[0].float().numpy()


def psnr(a, b):
    mse = np.mean((a.astype(np.float32) - b.astype(np.float32)) ** 2)
    return 10 * np.log10(255 ** 2 / max(mse, 1e-6))


def main():
    ap = argparse.ArgumentParser(description=__doc__)
    ap.add_argument("--vae", required=True, help="checkpoint or pipeline folder")
    ap.add_argument("--report", default=None, help="write the numbers here as JSON")
    ap.add_argument("--sheet", default=None)
    ap.add_argument("--sizes", nargs="+", default=["64", "128"], choices=list(SIZES))
    ap.add_argument("--clips", type=int, default=100, help="at most this many a size")
    a = ap.parse_args()
    torch.set_num_threads(1)
    V.patch()
    vae, world, out = load_vae(a.vae), World("core", "test"), {}
    for k in a.sizes:
        w, h, f, n = SIZES[k]
        ps, zs, rows = [], [], []
        for i in range(min(n, a.clips)):
            v = world.sample(900_000_000 + i, w, h, f)["video"]
            y, z = round_trip(vae, v)
            ps.append(psnr(v, y))
            zs.append(z.reshape(16, -1))
            rows += [v[::8], y[::8]]
        z = np.concatenate(zs, 1)
        out[f"{w}x{h}x{f}"] = dict(psnr=round(float(np.mean(ps)), 2), lowest=round(float(np.min(ps)), 2), clips=len(ps))
        print(json.dumps({f"{w}x{h}x{f}": out[f"{w}x{h}x{f}"]}), flush=True)
        if k == "128" or len(a.sizes) == 1:
            out.update(mean=z.mean(1).tolist(), std=z.std(1).tolist())
            if a.sheet:
                contact(rows[:16], a.sheet)
    if a.report:
        json.dump(out, open(a.report, "w"), indent=1)


if __name__ == "__main__":
    main()
