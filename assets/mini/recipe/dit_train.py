"""Stage 3: train the transformer and the text encoder together, flow matching on pooled latents. Run again to go on.

One run is one stage on one pool; a later stage starts with --init-from an earlier one's checkpoint (or a pipeline folder).
"""
import argparse
import json
import os
import time
import numpy as np
import torch
import dit_fast as D
import text as T
import vae_fast as V
from half import HALF, autocast
from parallel import Shared, launch, save_atomic
from pool import Pool, load_vae
from schedule import Budget, read_state, write_state

TEXT = 48                                                           # longest caption and the padding token


def shifted(u, shift):
    """Noise levels of a sampler's even times u in 0..1, after the flow shift."""
    return shift * u / (1 + (shift - 1) * u)


def noise_levels(n, shift, g=None, device="cpu"):
    """Stratified logit-normal, shifted towards noise as the sampler's own levels are."""
    u = (torch.arange(n, device=device) + torch.rand(n, generator=g, device=device)) / n
    s = torch.sigmoid(torch.special.ndtri(u.clamp(1e-4, 1 - 1e-4)) * 1.1)
    return shifted(s, shift)


def text_lengths(n, lo, hi, g=None, device="cpu"):
    """The padded length the pipeline would use: half the samples 512, half any, so that every max_sequence_length works."""
    any_ = torch.exp(torch.empty(n, device=device).uniform_(np.log(lo), np.log(hi), generator=g)).long()
    return torch.where(torch.rand(n, generator=g, device=device) < 0.5, torch.full_like(any_, hi), any_)


def without_captions(ids, n, part):
    """Some captions left out: what guidance compares with."""
    off = torch.rand(len(n), device=n.device) < part
    ids = ids.masked_fill(off[:, None], 0)
    ids[:, 0] = torch.where(off, 1, ids[:, 0])                      # an empty caption is </s> alone
    return ids, torch.where(off, 1, n)


def flow_errors(dit, te, x0, eps, s, ids, n, total):
    """Squared error of the velocity, one a sample: x0 and eps [B,16,T,H,W], noise level s [B], tokens ids [B,L] with n [B] real ones."""
    sv = s.view(-1, 1, 1, 1, 1)
    with autocast(x0.device.type):
        ctx = T.encode(te, ids, n).float()
    out = D.forward(dit, (1 - sv) * x0 + sv * eps, s * 1000, ctx, n, total)
    return (out - (eps - x0)).square().mean((1, 2, 3, 4))


def worker(rank, a, sh, st, pool, tok, ctrl, stat):
    torch.set_num_threads(1)
    sh.attach(rank)
    dit, te = sh.net["dit"], sh.net["te"]
    vae = load_vae(a.vae, HALF) if a.reuse else None
    mean, std = (torch.tensor(a.stats[k]).view(1, 16, 1, 1, 1) for k in ("mean", "std"))
    bud = Budget(a.target, a.minutes, warm=a.warm, hold=a.hold)
    share, step, seen, due = a.batch // sh.W, st["step"], st["seen"], 0.0
    chunk = max(1, 280_000 // (pool.cfg["width"] * pool.cfg["height"] * pool.cfg["frames"]))
    base = 0 if a.resumed else step                                 # a resumed run has its optimiser state: no second warm-up
    order = np.empty(0, np.int64)
    log_t, log_seen, saved = time.time(), seen, time.time()
    g, rng = torch.Generator(), np.random.default_rng(0)

    def save():
        st.update(step=step, seen=seen)
        save_atomic(dict(sh.checkpoint(), st=st, cfg=a.cfg), a.ck)
        write_state(a.out, "dit", stage=a.stage, seen=seen, target=a.target, step=step, **a.cfg)
    while True:
        if rank == 0:
            ctrl[0] = float(bud.done(seen))
        sh.bar.wait()
        if ctrl[0]:
            break
        g.manual_seed(1000 + step * sh.W + rank)
        rng = np.random.default_rng((step, rank))
        f = bud.rate(seen, step - base)
        if len(order) < share:                                      # each process draws from the slots that it writes itself
            mine = pool.filled()
            order = rng.permutation(mine[mine % sh.W == rank])
        idx, order = order[:share], order[share:]
        x0 = (torch.from_numpy(pool.x[idx].astype(np.float32)) - mean) / std
        caps = [c if rng.random() >= a.drop else "" for c in pool.captions(idx, rng)]
        ids, n = tok(caps, TEXT)
        total = text_lengths(share, TEXT, 512, g)
        s = noise_levels(share, a.shift, g)
        sh.zero_grad()
        per = flow_errors(dit, te, x0, torch.randn(x0.shape, generator=g), s, ids, n, total)
        per.mean().backward()
        b = (s * 5).long().clamp(0, 4)
        stat[rank, 0].index_add_(0, b, per.detach().double())
        stat[rank, 1].index_add_(0, b, torch.ones(share, dtype=torch.float64))
        ema = a.ema if (a.resumed or a.init_from) else min(a.ema, (step + 1) / (step + 10))
        gn = sh.step(a.lr * f, a.adam_lr * f, ema)
        step, seen = step + 1, seen + a.batch
        due += share / a.reuse if a.reuse else 0
        if due >= chunk:                                            # new clips in place of the oldest
            pool.refresh(vae, rank, sh.W, chunk)
            due -= chunk
        if rank == 0 and (step % a.log_every == 0 or step in (3, 20)):
            now, (A, C) = time.time(), stat.sum(0).numpy()
            line = dict(step=step, seen=seen, loss=round(float(A.sum() / C.sum()), 4), by_t=[round(float(v), 3) for v in A / np.maximum(C, 1)],
                        lr=round(f, 3), gn=round(gn, 3), sps=round((seen - log_seen) / (now - log_t), 2), clips=len(pool.filled()))
            st["log"].append(line)
            print(json.dumps(line), flush=True)
            log_t, log_seen = now, seen
            stat.zero_()                                            # a sample of the other process may be lost: only a log
        if rank == 0 and time.time() - saved > a.save_every:
            save()
            saved = time.time()
    if rank == 0:
        save()


def load_pipeline_weights(folder):
    """transformer and text encoder of a pipeline folder under this trainer's names"""
    from transformers import UMT5EncoderModel
    dit = D.WanTransformer3DModel.from_pretrained(folder, subfolder="transformer").float()
    te = UMT5EncoderModel.from_pretrained(os.path.join(folder, "text_encoder")).float()
    return dict(torch.nn.ModuleDict(dict(dit=dit, te=te)).named_parameters())


def start_net(tok, dim, layers):
    dit = D.build(dim, layers, 4 * dim)
    D.init(dit)
    return torch.nn.ModuleDict(dict(dit=dit, te=T.build(tok.size)))


def start(a, tok):
    net = start_net(tok, a.cfg["dim"], a.cfg["layers"])
    st, d, a.resumed = dict(step=0, seen=0, log=[]), None, os.path.exists(a.ck)
    if a.resumed:
        d = torch.load(a.ck, weights_only=False)
        st = d["st"]
    elif a.init_from and os.path.isdir(a.init_from):
        w = load_pipeline_weights(a.init_from)
        d, s = dict(model=w, ema=w), read_state(a.init_from, "dit")
        if s and s["stage"] == a.stage:
            st.update(step=s["step"], seen=s["seen"])
    elif a.init_from:
        d = torch.load(a.init_from, weights_only=False)
        d = dict(model=d["model"], ema=d["ema"])                    # a new stage: fresh optimiser
    sh = Shared(net, lambda n, p: n.startswith("dit.blocks.") and p.dim() == 2, a.procs)
    if d:
        if {n: v[2] for n, v in sh.spec.items()} != {n: tuple(p.shape) for n, p in d["ema"].items() if n in sh.spec}:
            raise SystemExit(f"{a.init_from or a.ck} has another shape: layers, width or vocabulary")
        sh.restore(d)
    millions = {k: round(sum(p.numel() for p in m.parameters()) / 1e6, 2) for k, m in net.items()}
    print(json.dumps(dict(stage=a.stage, parameters_M=millions, seen=st["seen"], target=a.target)), flush=True)
    return sh, st


def main():
    ap = argparse.ArgumentParser(description=__doc__)
    ap.add_argument("--pool", required=True)
    ap.add_argument("--vae", required=True, help="the checkpoint that filled the pool, for new clips")
    ap.add_argument("--stats", required=True, help="report of vae_eval: latent mean and deviation")
    ap.add_argument("--tokenizer", required=True)
    ap.add_argument("--out", required=True)
    ap.add_argument("--stage", default="a", help="a name; the place in the schedule is only taken over within one stage")
    ap.add_argument("--init-from", default=None, help="checkpoint or pipeline folder; weights only, short warm-up")
    ap.add_argument("--target", type=int, default=400_000, help="the whole budget, in samples seen")
    ap.add_argument("--minutes", type=float, default=1e9, help="stop (and save) after this long; does not move the schedule")
    ap.add_argument("--batch", type=int, default=64)
    ap.add_argument("--procs", type=int, default=2)
    ap.add_argument("--dim", type=int, default=320)
    ap.add_argument("--layers", type=int, default=7)
    ap.add_argument("--lr", type=float, default=3e-3, help="Muon, the matrices of the blocks")
    ap.add_argument("--adam-lr", type=float, default=1.5e-3, help="Adam, everything else")
    ap.add_argument("--warm", type=int, default=60)
    ap.add_argument("--hold", type=float, default=0.5, help="part of the budget at full rate before the cosine")
    ap.add_argument("--drop", type=float, default=0.1, help="captions left out, for guidance")
    ap.add_argument("--shift", type=float, default=1.5)
    ap.add_argument("--ema", type=float, default=0.998)
    ap.add_argument("--reuse", type=float, default=8, help="mean uses of a clip before it is replaced; 0: never replace")
    ap.add_argument("--compile", action="store_true", help="compile the block; pays at 80 tokens")
    ap.add_argument("--eager", action="store_true", help="no compiled VAE norm")
    ap.add_argument("--log-every", type=int, default=50)
    ap.add_argument("--save-every", type=float, default=90)
    a = ap.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    os.makedirs(a.out, exist_ok=True)
    a.ck, a.cfg = os.path.join(a.out, "dit.pt"), dict(dim=a.dim, layers=a.layers, ffn=4 * a.dim)
    a.stats = json.load(open(a.stats))
    V.patch()
    if a.compile:
        D.compile_block()
    if not a.eager and a.reuse:
        V.compile_norm()
    tok, pool = T.Tokenizer(a.tokenizer), Pool(a.pool)
    sh, st = start(a, tok)
    z = lambda *s: torch.zeros(*s, dtype=torch.float64).share_memory_()
    launch(worker, a.procs, a, sh, st, pool, tok, z(1), z(a.procs, 2, 5))


if __name__ == "__main__":
    main()
