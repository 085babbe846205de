"""Times torch's scaled_dot_product_attention on the CPU at the shapes the project quotes.

    python tests/opbench/peers/torch_sdpa.py [--shape HEADSxNxD ...] [--dtype f32|bf16|both] [--repeat 5]

One JSON line per shape and type; GFLOP/s counts 4 N^2 D a head (two products). --matmul adds torch's own q k^T and p v
products without the softmax, for scale.
"""

import argparse

from common import DTYPES, emit, set_up, timed

import torch  # noqa: E402
import torch.nn.functional as F  # noqa: E402


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--shape", action="append", help="HEADSxNxD; may be repeated")
    p.add_argument("--dtype", choices=["f32", "bf16", "both"], default="both")
    p.add_argument("--repeat", type=int, default=5)
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--matmul", action="store_true")
    args = p.parse_args()
    machine = set_up(args.threads)
    for heads, n, d in [tuple(map(int, s.split("x"))) for s in args.shape or ["6x5376x64", "12x8192x128"]]:
        for name in ("f32", "bf16") if args.dtype == "both" else (args.dtype,):
            g = torch.Generator().manual_seed(1)
            q, k, v = (torch.randn((1, heads, n, d), generator=g).to(DTYPES[name]) for _ in range(3))
            flops = 4.0 * heads * n * n * d
            runs = {"sdpa": lambda: F.scaled_dot_product_attention(q, k, v)}
            if args.matmul:
                runs["matmul"] = lambda: [(q[0, h] @ k[0, h].T) @ v[0, h] for h in range(heads)]
            for kind, fn in runs.items():
                seconds = timed(fn, args.repeat)
                emit(peer="torch", kind=kind, dtype=name, heads=heads, n=n, d=d, best_s=min(seconds), all_s=[round(s, 4) for s in seconds],
                     gflops=flops / min(seconds) / 1e9, **machine)


main()
