"""Small deltas of the dense transformer, each taught by it: sparse-linear attention, the radial mask, four steps without guidance.

A delta is a low-rank addition to every matrix of the blocks (names of the PEFT convention) and, for sparse-linear attention,
proj_l. The dense model stays as it is; its own velocity is the target, so no data is learned anew.
"""
import torch
import torch.nn as nn
import torch.nn.functional as F
import dit_fast as D
import text as T
from half import autocast
from dit_train import shifted, without_captions

RANK = 64
RADIAL = "radial:decay=0.2,block=64"                                 # the plan that the radial delta is trained for
# place in block_params -> module
MATRICES = {1: "attn1.to_q", 3: "attn1.to_k", 5: "attn1.to_v", 7: "attn1.to_out.0", 11: "attn2.to_q", 13: "attn2.to_k", 15: "attn2.to_v",
            17: "attn2.to_out.0", 23: "ffn.net.0.proj", 25: "ffn.net.2"}
GUIDANCE = 4.0                                                       # what the deltas are taught for, and the model's own default
# width, height, frames, sprite pixels, clips a step, share of the steps. Each clip goes with its caption and without.
SHAPES = ((128, 128, 33, None, 32, 0.88), (256, 256, 81, None, 3, 0.04), (256, 256, 33, None, 8, 0.04), (192, 192, 49, None, 10, 0.04))


class Delta(nn.Module):
    def __init__(self, dit, rank=RANK, proj=False):
        super().__init__()
        self.proj = nn.ParameterList()
        self.a, self.b = nn.ParameterDict(), nn.ParameterDict()
        for i, blk in enumerate(dit.blocks):
            P = D.block_params(blk)
            for j in MATRICES:
                out, inp = P[j].shape
                self.a[f"{i}_{j}"] = nn.Parameter(torch.randn(rank, inp) * inp ** -0.5)
                self.b[f"{i}_{j}"] = nn.Parameter(torch.zeros(out, rank))
            if proj:
                self.proj += [nn.Parameter(torch.zeros(D.HEAD, D.HEAD)), nn.Parameter(torch.zeros(D.HEAD))]

    def params(self, dit, extra=()):
        out = []
        for i, blk in enumerate(dit.blocks):
            P = D.block_params(blk)
            for j in MATRICES:
                P[j] = P[j] + self.b[f"{i}_{j}"] @ self.a[f"{i}_{j}"]
                torch._dynamo.mark_static(P[j])
            out.append((P, tuple(self.proj[2 * i:2 * i + 2]) + extra))
        return out

    def _named(self):
        w = {}
        for k in self.a:
            i, j = k.split("_")
            name = f"transformer.blocks.{i}.{MATRICES[int(j)]}"
            w[name + ".lora_A.weight"], w[name + ".lora_B.weight"] = self.a[k], self.b[k]
        for i in range(len(self.proj) // 2):
            name = f"transformer.blocks.{i}.attn1.attn_op.local_attn.proj_l"
            w[name + ".weight"], w[name + ".bias"] = self.proj[2 * i], self.proj[2 * i + 1]
        return w

    def named(self):
        return {k: v.detach().bfloat16().cpu() for k, v in self._named().items()}

    @torch.no_grad()
    def load(self, named):
        """What `named` gave; parts that are not there stay as they are."""
        for k, v in self._named().items():
            if k in named:
                v.copy_(named[k])
        return self


def kept_blocks(q, k, keep, bq, bk):
    """Kept key blocks of each query block by pooled scores, mean key away: [B,H,Nq,kept] (attention.md, SLA; sla.cpp is the twin)"""
    def pool(x, n):
        b, h, t, d = x.shape
        m = -(-t // n)
        count = torch.full((m,), float(n), device=x.device)
        count[-1] = t - (m - 1) * n
        return F.pad(x, (0, 0, 0, m * n - t)).view(b, h, m, n, d).sum(3) / count[:, None]
    s = pool(q.float(), bq) @ pool(k.float() - k.float().mean(2, keepdim=True), bk).transpose(-1, -2)
    return s.topk(max(1, int(keep * s.shape[-1])), -1).indices


def listed(q, k, v, top, bq, bk):
    """Attention of each query block to the key blocks in its list. Gathered, so that it costs what is kept."""
    b, h, n, d = q.shape
    nq, kept, nk = top.shape[2], top.shape[3], -(-n // bk)
    at = (top + torch.arange(b * h, device=q.device).view(b, h, 1, 1) * nk).flatten()

    def rows(x):
        x = F.pad(x, (0, 0, 0, nk * bk - n)).reshape(b * h * nk, bk * d)
        return x.index_select(0, at).view(b * h * nq, 1, kept * bk, d)
    mask = None
    if n % bk:
        key = (top[..., None] * bk + torch.arange(bk, device=q.device)).view(b * h * nq, 1, 1, kept * bk)
        mask = torch.where(key < n, 0.0, float("-inf")).to(q.dtype).expand(-1, -1, bq, -1)
    o = F.scaled_dot_product_attention(F.pad(q, (0, 0, 0, nq * bq - n)).reshape(b * h * nq, 1, bq, d), rows(k), rows(v), attn_mask=mask)
    return o.view(b, h, nq * bq, d)[:, :, :n]


def sla(q, k, v, w, b, keep=0.1, bq=64, bk=64):
    """Softmax over the kept blocks plus proj_l of linear attention over all keys (scope global, feature softmax)."""
    with torch.no_grad():
        top = kept_blocks(q, k, keep, bq, bk)
    fq, fk = torch.softmax(q.float(), -1), torch.softmax(k.float(), -1)
    lin = (fq @ (fk.transpose(-1, -2) @ v.float())) / (1e-5 + fq @ fk.sum(2).unsqueeze(-1))
    return listed(q, k, v, top, bq, bk) + F.linear(lin, w, b).to(v.dtype)


def masked(q, k, v, mask):
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask[None, None])


def encode(card, ids, length):
    with autocast(card.dev), torch.no_grad():
        return T.encode(card.net["te"], ids, length).float()


def encode_pair(card, ids, length):
    """The captions and as many empty ones: (context, real tokens, padded length)"""
    empty, one = without_captions(ids, length, 1.0)
    both = torch.cat([length, one])
    return encode(card, torch.cat([ids, empty]), both), both, torch.full_like(both, 512)


def guided(v, cfg):
    c, u = v.chunk(2)
    return u + cfg * (c - u)


def descend(opt, loss, rate):
    opt.zero_grad(set_to_none=True)
    loss.backward()
    for group in opt.param_groups:
        group["lr"] = rate
        torch.nn.utils.clip_grad_norm_(group["params"], 1.0)
    opt.step()


def sampler_levels(n, shift=3.0, dense=0.25, share=0.15, device="cpu"):
    """Noise levels evenly over the steps that a variant takes, and `share` of them over the first `dense` part, which its defaults
    leave to dense attention."""
    u = (torch.arange(n, device=device) + torch.rand(n, device=device)) / n
    u = torch.where(u < 1 - share, u * (1 - dense) / (1 - share), 1 - (1 - u) * dense / share)
    return shifted(u, shift).clamp(0.02, 0.999)


def started(card, name, delta):
    """The delta on the card, from where an earlier run left it, and its rate: half of it then."""
    known = card.start.get(name)
    delta.load(known or {}).to(card.dev)
    return card.a.delta_lr * (0.5 if known else 1)


def shares(error, want):
    """The mean squared error and what part of the target's square it is."""
    e = error.detach().square().mean()
    return [e, e / want.square().mean()]


def teach(card, name, seconds, delta, attend, extra_of=lambda shape: ()):
    """The student's velocity towards the dense model's on the same noisy latents, at every shape, with and without the caption and as
    guidance mixes the two: errors of both that differ would count several times there."""
    from card_train import Stage, TINY
    dit, dev = card.net["dit"], card.dev
    lr = started(card, name, delta)
    opt = torch.optim.Adam(delta.parameters(), lr=lr, betas=(0.9, 0.98))
    g = torch.Generator().manual_seed(2)
    shapes = card.filled(TINY if card.a.tiny else SHAPES)
    # Compiled for the shape of most steps alone; compiling for all takes longer than it saves.
    torch._dynamo.config.suppress_errors = True                     # an operation that cannot be compiled is run as it is
    fast = torch.compile(D.block, dynamic=False) if card.a.compile_deltas else D.block
    st = Stage(name, seconds)
    while st.u() < 1:
        shape = shapes[int(torch.multinomial(torch.tensor([s[5] for s in shapes]), 1, generator=g))]
        n, run = shape[4], fast if shape is shapes[0] else D.block
        x0, ids, length = card.pool(shape[:4]).draw(n)
        s = sampler_levels(n, device=dev)
        sv = s.view(-1, 1, 1, 1, 1)
        x = ((1 - sv) * x0 + sv * torch.randn_like(x0)).repeat(2, 1, 1, 1, 1)
        ctx, length, total = encode_pair(card, ids, length)
        s = s.repeat(2) * 1000
        with torch.no_grad():
            want = D.forward(dit, x, s, ctx, length, total, run=run)
        # The input takes a gradient that nobody reads, so that all layers look alike to the compiler.
        got = D.forward(dit, x.requires_grad_(), s, ctx, length, total, attend, delta.params(dit, extra_of(shape)), run)
        error = got - want
        loss = error.square().mean() + 0.1 * guided(error, GUIDANCE).square().mean()
        descend(opt, loss, lr * st.rate(30, 0.2))
        card.pool(shape[:4]).renew()
        st.tick(n, torch.stack(shares(error, want) + shares(guided(error, GUIDANCE), guided(want, GUIDANCE))), tokens=x0[0, 0].numel() // 4)
    return delta.named()


def sparse_linear(card, seconds):
    return teach(card, "sla", seconds, Delta(card.net["dit"], proj=True), sla)


def radial(card, seconds):
    """Masks come from `zoetrope plan` (masks.py): bool [Nq,Nk] blocks of 64 for each latent grid."""
    masks = torch.load(card.a.masks)

    def mask_of(shape):
        w, h, f = shape[:3]
        grid = ((f - 1) // 4 + 1, h // 16, w // 16)
        m, n = masks[grid].to(card.dev), grid[0] * grid[1] * grid[2]
        at = torch.arange(n, device=card.dev) // 64
        return (m[at][:, at],)
    kept = {}
    return teach(card, "radial", seconds, Delta(card.net["dit"]), masked, lambda s: kept.setdefault(s, mask_of(s)))


def few_steps(card, seconds, cfg=4.0, sigmas=(1.0, 0.9, 0.75, 0.5, 0.0), fine=5):
    """One large step of the student against `fine` guided Euler steps of the dense model, from where the student itself has come."""
    from card_train import Stage, TINY
    dit, dev = card.net["dit"], card.dev
    delta = Delta(dit)
    lr = started(card, "few", delta)
    opt = torch.optim.Adam(delta.parameters(), lr=lr, betas=(0.9, 0.98))
    shapes = ((128, 128, 33, None, 64, 0.8), (256, 256, 33, None, 14, 0.1), (192, 192, 49, None, 18, 0.1))
    shapes = card.filled(TINY if card.a.tiny else shapes)
    flat = lambda s: s / (3 - 2 * s)                                # the schedule's even times, before flow shift 3
    st, g = Stage("few", seconds), torch.Generator().manual_seed(3)

    def at(x, s, ctx, length, total, params=None):
        return D.forward(dit, x, torch.full((x.shape[0],), s * 1000, device=dev), ctx, length, total, params=params)
    while st.u() < 1:
        shape = shapes[int(torch.multinomial(torch.tensor([s[5] for s in shapes]), 1, generator=g))]
        n, k = shape[4], int(torch.randint(4, (1,), generator=g))
        x0, ids, length = card.pool(shape[:4]).draw(n)
        ctx, length2, total = encode_pair(card, ids, length)
        x, params = torch.randn_like(x0), delta.params(dit)
        with torch.no_grad():
            for i in range(k):
                x = x + (sigmas[i + 1] - sigmas[i]) * at(x, sigmas[i], ctx[:n], length, total[:n], params)
            y, u0, u1 = x, flat(sigmas[k]), flat(sigmas[k + 1])
            for i in range(fine):
                s0, s1 = shifted(u0 + (u1 - u0) * i / fine, 3), shifted(u0 + (u1 - u0) * (i + 1) / fine, 3)
                y = y + (s1 - s0) * guided(at(torch.cat([y, y]), s0, ctx, length2, total), cfg)
            want = (y - x) / (sigmas[k + 1] - sigmas[k])
        got = at(x, sigmas[k], ctx[:n], length, total[:n], delta.params(dit))
        descend(opt, (got - want).square().mean(), lr * st.rate(30, 0.3))
        st.tick(n, torch.stack(shares(got - want, want)))
    return delta.named()
