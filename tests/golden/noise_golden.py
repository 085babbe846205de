"""Writes noise_golden.json: torch.randn of CPU generators (built for AVX2 or better), and the numbers torch.randn gives on
CUDA as an independent reading of the documented algorithm (Philox4x32-10, curand_normal4, ATen's launch shape).

    python tests/golden/noise_golden.py

Long fills are stored as a few values and the FNV-1a hash of their float32 bits.
"""

import json
import os

import numpy as np
import torch


def fnv(values):
    h = 0xCBF29CE484222325
    for word in np.asarray(values, dtype=np.float32).view(np.uint32).tolist():
        h = ((h ^ word) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return f"{h:016x}"


def nine(values):
    return [float(f"{v:.9g}") for v in values]


def entry(x, **extra):
    e = dict(extra, size=len(x), hash=fnv(x))
    return dict(e, values=nine(x)) if len(x) <= 100 else dict(e, first=nine(x[:4]), last=nine(x[-20:]))


def philox(counter, key):
    c, k = [np.asarray(v, dtype=np.uint64) for v in counter], list(key)
    m = np.uint64(0xFFFFFFFF)
    for _ in range(10):
        a, b = np.uint64(0xD2511F53) * c[0], np.uint64(0xCD9E8D57) * c[2]
        c = [(b >> np.uint64(32)) ^ c[1] ^ np.uint64(k[0]), b & m, (a >> np.uint64(32)) ^ c[3] ^ np.uint64(k[1]), a & m]
        k = [(k[0] + 0x9E3779B9) & 0xFFFFFFFF, (k[1] + 0xBB67AE85) & 0xFFFFFFFF]
    return c


def cuda_randn(seed, size, fill=0, processors=132, threads_each=2048):
    """Fill number `fill` of a generator, each of at most 4 numbers a thread; the card is given by its processors."""
    blocks = min((size + 255) // 256, processors * (threads_each // 256))
    threads = blocks * 256
    t = np.arange(threads, dtype=np.uint64)
    w = philox([np.full_like(t, fill), np.zeros_like(t), t, np.zeros_like(t)], (seed & 0xFFFFFFFF, seed >> 32))
    out, f = [], np.float32
    for x, y in ((w[0], w[1]), (w[2], w[3])):
        u = x.astype(f) * f(2.3283064e-10) + f(2.3283064e-10) / f(2)
        v = y.astype(f) * (f(2.3283064e-10) * f(6.2831855)) + (f(2.3283064e-10) * f(6.2831855)) / f(2)
        r = np.sqrt(f(-2) * np.log(u.astype(np.float64)).astype(f))
        out += [np.sin(v.astype(np.float64)).astype(f) * r, np.cos(v.astype(np.float64)).astype(f) * r]
    return np.concatenate(out)[:size]


def main():
    golden = {"torch_cpu": [], "torch_cpu_sequence": [], "torch_cuda": []}
    for seed in (0, 42, 2**32 + 7, 2**64 - 1):
        for size in (1, 5, 15, 16, 17, 31, 100, 1000003):
            x = torch.randn(size, generator=torch.Generator().manual_seed(seed if seed < 2**63 else seed - 2**64), dtype=torch.float32)
            golden["torch_cpu"].append(entry(x.tolist(), seed=seed))
    # One generator, several fills: the spare half of a short fill survives long ones.
    g = torch.Generator().manual_seed(9)
    for size in (3, 40, 1, 17, 2, 5, 16):
        golden["torch_cpu_sequence"].append(entry(torch.randn(size, generator=g).tolist(), seed=9))
    for seed in (0, 42, 2**40 + 3):
        for fill, size in ((0, 12), (0, 1000), (1, 300000), (2, 1081344)):
            golden["torch_cuda"].append(entry(cuda_randn(seed, size, fill).tolist(), seed=seed, fill=fill))
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "noise_golden.json")
    with open(path, "w") as f:
        f.write("{\n" + ",\n".join(f'"{k}": [\n' + ",\n".join(json.dumps(e) for e in v) + "\n]" for k, v in golden.items()) + "\n}\n")


main()
