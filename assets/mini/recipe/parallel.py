"""Data parallelism in shared memory for a few single-threaded processes on one machine (or one process and a card), and the optimiser.

Parameters, gradients, optimiser state and the EMA are flat shared buffers. Each process computes the gradient of its share
of the batch, then updates its share of the parameters: Muon for matrices (and convolutions flattened to matrices), Adam
for the rest. Nothing is copied between processes; three barriers a step are the only cost.
"""
import ctypes
import glob
import io
import math
import os
import signal
import torch
import torch.multiprocessing as mp
from half import HALF


@torch.no_grad()
def newton_schulz(g, steps=5):
    """The nearest (roughly) orthogonal matrix: the core of Muon."""
    x = g.to(HALF)
    tall = x.shape[-2] > x.shape[-1]
    if tall:
        x = x.transpose(-1, -2)
    x = x / (x.float().norm(dim=(-2, -1), keepdim=True).to(x.dtype) + 1e-7)
    for _ in range(steps):
        a = x @ x.transpose(-1, -2)
        b = -4.7750 * a + 2.0315 * (a @ a)
        x = 3.4445 * x + b @ x
    return (x.transpose(-1, -2) if tall else x).float()


class Shared:
    """`net`'s parameters in shared memory. `is_big(name, p)` says which ones Muon updates."""

    def __init__(self, net, is_big, procs, device="cpu"):
        self.net, self.W = net, procs
        items = sorted(((n, p, bool(is_big(n, p))) for n, p in net.named_parameters()), key=lambda t: not t[2])
        self.spec, o = {}, 0
        for n, p, big in items:
            self.spec[n] = (o, p.numel(), tuple(p.shape), big)
            o += p.numel()
        z = lambda *s, **k: torch.zeros(*s, **k).share_memory_() if device == "cpu" else torch.zeros(*s, device=device, **k)
        self.flat, self.ema, self.mom, self.var, self.G = z(o), z(o), z(o), z(o), z(procs, o)
        self.norms, self.adam_t = z(procs, dtype=torch.float64), z(1, dtype=torch.int64)
        for n, p, _ in items:
            self.flat[self.sl(n)] = p.data.reshape(-1)
        self.ema.copy_(self.flat)
        self.bar = mp.get_context("fork").Barrier(procs)

    def sl(self, n):
        return slice(self.spec[n][0], self.spec[n][0] + self.spec[n][1])

    def named(self, buf):
        return {n: buf[self.sl(n)].view(s[2]).clone() for n, s in self.spec.items()}

    def load_named(self, model, ema):
        for n in self.spec:
            self.flat[self.sl(n)] = model[n].reshape(-1).float()
            self.ema[self.sl(n)] = ema[n].reshape(-1).float()

    def checkpoint(self):
        return dict(model=self.named(self.flat), ema=self.named(self.ema), mom=self.mom, var=self.var, adam_t=self.adam_t)

    def restore(self, d):
        """Weights always; the optimiser's state only when the checkpoint is of the same run."""
        self.load_named(d["model"], d["ema"])
        if "mom" in d and d["mom"].shape == self.mom.shape:
            self.mom.copy_(d["mom"])
            self.var.copy_(d["var"])
            self.adam_t.copy_(d["adam_t"])

    def reset_optimiser(self):
        self.mom.zero_()
        self.var.zero_()
        self.adam_t.zero_()

    def attach(self, rank):
        """Call in each process before training."""
        self.rank = rank
        params = dict(self.net.named_parameters())
        self.groups = {}
        for i, (n, (o, k, shape, big)) in enumerate(self.spec.items()):
            params[n].data = self.flat[o:o + k].view(shape)
            params[n].grad = self.G[rank][o:o + k].view(shape)
            if big and i % self.W == rank:
                self.groups.setdefault((shape[0], k // shape[0]), []).append((o, k))
        small = [s[0] for s in self.spec.values() if not s[3]]
        lo = min(small) if small else self.flat.numel()
        cut = [lo + (self.flat.numel() - lo) * r // self.W for r in range(self.W + 1)]
        self.small = slice(cut[rank], cut[rank + 1])
        self.own = [slice(o, o + k) for g in self.groups.values() for o, k in g] + [self.small]

    def zero_grad(self):
        self.G[self.rank].zero_()

    @torch.no_grad()
    def step(self, lr_big, lr_small, ema, clip=1.0, wd=0.02, betas=(0.9, 0.98)):
        """All processes call this after backward; returns the gradient norm. A barrier ends it."""
        self.bar.wait()
        gs = [self.G[:, s].mean(0) if self.W > 1 else self.G[0, s] for s in self.own]
        self.norms[self.rank] = torch.stack(torch._foreach_norm(gs)).double().square().sum()
        self.bar.wait()
        gn = float(self.norms.sum()) ** 0.5
        if math.isfinite(gn):                                       # a bad batch is skipped, not learned
            torch._foreach_mul_(gs, min(1.0, clip / (gn + 1e-6)))
            i = 0
            for (r, q), group in self.groups.items():
                views = lambda buf: [buf[o:o + k] for o, k in group]
                g, m, i = gs[i:i + len(group)], views(self.mom), i + len(group)
                torch._foreach_lerp_(m, g, 0.05)
                us = torch.stack(torch._foreach_lerp(g, m, 0.95)).view(-1, r, q)
                ws = newton_schulz(us).view(len(group), -1).unbind()
                torch._foreach_mul_(views(self.flat), 1 - lr_big * wd)
                torch._foreach_add_(views(self.flat), ws, alpha=-lr_big * 0.2 * max(r, q) ** 0.5)
            t = int(self.adam_t) + 1
            m, v, g = self.mom[self.small], self.var[self.small], gs[-1]
            m.lerp_(g, 1 - betas[0])
            v.lerp_(g.square(), 1 - betas[1])
            self.flat[self.small].addcdiv_(m / (1 - betas[0] ** t), (v / (1 - betas[1] ** t)).sqrt_().add_(1e-8), value=-lr_small)
            for s in self.own if self.W > 1 else [slice(None)]:
                self.ema[s].lerp_(self.flat[s], 1 - ema)
        self.bar.wait()
        if self.rank == 0:
            self.adam_t += 1                                        # read by the others only after the next barrier
        return gn


def save_atomic(obj, path):
    torch.save(obj, path + ".tmp")
    os.replace(path + ".tmp", path)


def save_pieces(obj, path, most):
    """A checkpoint as path.00, path.01 ... of at most `most` bytes each, for where one file may not be larger."""
    buf = io.BytesIO()
    torch.save(obj, buf)
    data = buf.getvalue()
    for i in range(0, len(data), most):
        with open(f"{path}.{i // most:02d}", "wb") as f:
            f.write(data[i:i + most])


def load_checkpoint(path):
    """A checkpoint in one file or in pieces."""
    if os.path.exists(path):
        return torch.load(path, weights_only=False)
    pieces = sorted(glob.glob(path + ".[0-9][0-9]"))
    if not pieces:
        raise SystemExit(f"{path}: no such checkpoint, neither whole nor in pieces ({path}.00 ...)")
    return torch.load(io.BytesIO(b"".join(open(f, "rb").read() for f in pieces)), weights_only=False)


def launch(fn, procs, *args):
    """fn(rank, *args) in `procs` forked processes; rank 0 runs here. Set torch threads to 1 before any torch work."""
    parent = os.getpid()

    def child(r):
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)                  # PR_SET_PDEATHSIG: never outlive the first process
        if os.getppid() == parent:
            fn(r, *args)
    ps = [mp.get_context("fork").Process(target=child, args=(r,), daemon=True) for r in range(1, procs)]
    for p in ps:
        p.start()
    try:
        fn(0, *args)
    except BaseException:
        for p in ps:
            p.kill()
        raise
    for p in ps:
        p.join()
