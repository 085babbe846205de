"""Writes tests/golden/vae/*.safetensors: what diffusers' AutoencoderKLWan makes of weights and inputs that the tests make
again from names and numbers, so that only results are kept.

    python tests/golden/vae_golden.py        (diffusers 0.42, torch, safetensors)
"""
import json
import pathlib

import numpy as np
import torch
from diffusers import AutoencoderKLWan
from safetensors.torch import save_file

OUT = pathlib.Path(__file__).parent / "vae"
MASK = (1 << 64) - 1


def fnv1a(text):
    h = 0xCBF29CE484222325
    for b in text.encode():
        h = ((h ^ b) * 0x100000001B3) & MASK
    return h


def uniform(name, count):
    """[-0.5, 0.5) in steps of 2^-24: splitmix64 from the hash of the name."""
    i = np.arange(1, count + 1, dtype=np.uint64)
    z = np.uint64(fnv1a(name)) + i * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z = z ^ (z >> np.uint64(31))
    return ((z >> np.uint64(40)).astype(np.float64) / 2.0**24 - 0.5).astype(np.float32)


def fill(model):
    for name, p in model.state_dict().items():
        u = uniform(name, p.numel())
        if name.endswith("gamma"):
            v = np.float32(1) + np.float32(0.5) * u
        elif name.endswith("bias"):
            v = np.float32(0.5) * u
        else:
            fan_in = p.numel() // p.shape[0]
            v = np.float32(np.sqrt(12.0 / fan_in)) * u
        p.copy_(torch.from_numpy(v).reshape(p.shape))


def tensors_hash(model):
    lines = [f"{n} {'x'.join(map(str, p.shape))}" for n, p in model.state_dict().items()]
    return f"{fnv1a(chr(10).join(sorted(lines))):016x}"


def model_of(base, z, mult, res, temporal, decoder_base=None):
    return AutoencoderKLWan(
        base_dim=base, decoder_base_dim=decoder_base, z_dim=z, dim_mult=mult, num_res_blocks=res, temperal_downsample=temporal,
        latents_mean=[0.0] * z, latents_std=[1.0] * z, scale_factor_spatial=2 ** (len(mult) - 1),
        scale_factor_temporal=2 ** sum(temporal))


@torch.no_grad()
def case(name, latent, video, tile=None, **config):
    """latent: (t, h, w) to decode; video: (t, h, w) to encode."""
    vae = model_of(**config)
    fill(vae)
    vae.eval()
    tensors = {}
    z = torch.from_numpy(uniform("z", config["z"] * int(np.prod(latent))) * np.float32(4)).reshape(1, config["z"], *latent)
    if tile:
        scale = 2 ** (len(config["mult"]) - 1)
        vae.enable_tiling(tile[0] * scale, tile[0] * scale, tile[1] * scale, tile[1] * scale)
        # Our decoder clamps each tile, diffusers the blend: make it clamp each tile too.
        forward = vae.decoder.forward
        vae.decoder.forward = lambda *a, **k: forward(*a, **k).clamp(-1, 1)
        # Every third pixel: coprime to all tile sizes, and a ninth of the bytes.
        tensors["tiled"] = vae.decode(z).sample[0].permute(1, 2, 3, 0)[:, ::3, ::3].contiguous()
    else:
        tensors["frames"] = vae.decode(z).sample[0].permute(1, 2, 3, 0).contiguous()
    if video:
        x = torch.from_numpy(uniform("x", 3 * int(np.prod(video))) * np.float32(2)).reshape(1, *video, 3).permute(0, 4, 1, 2, 3)
        tensors["latent"] = vae.encode(x).latent_dist.mode()[0].contiguous()
    meta = dict(config, latent=list(latent), video=list(video or []), hash=tensors_hash(vae))
    for k, v in tensors.items():
        print(f"{name:12} {k:7} {tuple(v.shape)} mean {v.mean():+.3f} std {v.std():.3f} at limits {(v.abs() >= 1).float().mean():.2f}")
    save_file(tensors, OUT / f"{name}.safetensors", metadata={"case": json.dumps(meta)})


OUT.mkdir(exist_ok=True)
FTT = [False, True, True]
case("base3", (3, 2, 3), (9, 16, 24), base=3, z=16, mult=[1, 1, 1, 1], res=1, temporal=FTT)
case("base4_res2", (4, 3, 2), (13, 24, 16), base=4, z=4, mult=[1, 2, 4, 4], res=2, temporal=FTT)
case("base8", (2, 3, 4), (5, 24, 32), base=8, z=16, mult=[1, 2, 4, 4], res=1, temporal=FTT)
case("one_frame", (1, 2, 2), (1, 32, 16), base=8, z=16, mult=[1, 2, 4, 4], res=2, temporal=FTT)
case("two_blocks", (3, 5, 6), (9, 10, 8), base=4, z=8, mult=[1, 2], res=1, temporal=[True])
case("no_time", (3, 3, 5), (5, 22, 14), base=8, z=4, mult=[1, 2, 2], res=2, temporal=[False, False])
case("time_first", (3, 3, 4), (9, 18, 30), base=6, z=4, mult=[1, 1, 3], res=1, temporal=[True, False])
case("decoder6", (3, 3, 2), (9, 12, 20), base=4, z=6, mult=[1, 2, 4], res=1, temporal=[True, True], decoder_base=6)
case("tiled", (2, 26, 40), None, tile=(20, 14), base=4, z=4, mult=[1, 2], res=1, temporal=[True])
