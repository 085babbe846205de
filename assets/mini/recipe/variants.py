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
from dit_train import TEXT, noise_levels, text_lengths, without_captions

RANK = 64
RADIAL = "radial:decay=0.2,block=64"                                 # the plan that the radial delta is trained for
# place in block_params -> module
MATRICES = {1: "attn1.to_q", 3: "attn1.to_k", 5: "attn1.to_v", 7: "attn1.to_out.0", 11: "attn2.to_q", 13: "attn2.to_k", 15: "attn2.to_v",
            17: "attn2.to_out.0", 23: "ffn.net.0.proj", 25: "ffn.net.2"}
# width, height, frames, sprite pixels, clips a step, share of the steps
SHAPES = ((128, 128, 33, None, 96, 0.55), (256, 256, 81, None, 6, 0.2), (256, 256, 33, None, 20, 0.15), (192, 192, 49, None, 28, 0.1))


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

    def named(self):
        w = {}
        for k in self.a:
            i, j = k.split("_")
            name = f"transformer.blocks.{i}.{MATRICES[int(j)]}"
            w[name + ".lora_A.weight"], w[name + ".lora_B.weight"] = self.a[k], self.b[k]
        for i in range(len(self.proj) // 2):
            name = f"transformer.blocks.{i}.attn1.attn_op.local_attn.proj_l"
            w[name + ".weight"], w[name + ".bias"] = self.proj[2 * i], self.proj[2 * i + 1]
        return {k: v.detach().bfloat16().cpu() for k, v in w.items()}


def block_map(q, k, keep, bq, bk):
    """Kept blocks of each query block by pooled scores, mean key away: bool [B,H,Nq,Nk] (attention.md, SLA; sla.cpp is the twin)"""
    def pool(x, n):
        b, h, t, d = x.shape
        m = -(-t // n)
        count = torch.full((m,), float(n), device=x.device)
        count[-1] = t - (m - 1) * n
        return F.pad(x, (0, 0, 0, m * n - t)).view(b, h, m, n, d).sum(3) / count[:, None]
    s = pool(q.float(), bq) @ pool(k.float() - k.float().mean(2, keepdim=True), bk).transpose(-1, -2)
    top = s.topk(max(1, int(keep * s.shape[-1])), -1).indices
    return torch.zeros_like(s, dtype=torch.bool).scatter_(-1, top, True)


def sla(q, k, v, w, b, keep=0.1, bq=128, bk=64):
    """Softmax over the kept blocks plus proj_l of linear attention over all keys (scope global, feature softmax)."""
    n = q.shape[2]
    with torch.no_grad():
        m = block_map(q, k, keep, bq, bk)
        at = torch.arange(n, device=q.device)
        mask = m[:, :, at // bq][:, :, :, at // bk]
    fq, fk = torch.softmax(q.float(), -1), torch.softmax(k.float(), -1)
    lin = (fq @ (fk.transpose(-1, -2) @ v.float())) / (1e-5 + fq @ fk.sum(2).unsqueeze(-1))
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask) + F.linear(lin, w, b).to(v.dtype)


def masked(q, k, v, mask):
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask[None, None])


def encode(card, ids, length):
    with autocast(card.dev), torch.no_grad():
        return T.encode(card.net["te"], ids, length).float()


def descend(opt, loss, rate):
    opt.zero_grad(set_to_none=True)
    loss.backward()
    for group in opt.param_groups:
        group["lr"] = rate
        torch.nn.utils.clip_grad_norm_(group["params"], 1.0)
    opt.step()


def teach(card, name, seconds, delta, attend, extra_of=lambda shape: ()):
    """The student's velocity towards the dense model's on the same noisy latents, at every shape."""
    from card_train import Stage, TINY
    dit, dev = card.net["dit"], card.dev
    delta.to(dev)
    opt = torch.optim.Adam(delta.parameters(), lr=card.a.delta_lr, betas=(0.9, 0.98))
    g = torch.Generator().manual_seed(2)
    shapes = card.filled(TINY if card.a.tiny else SHAPES)
    st = Stage(name, seconds)
    while st.u() < 1:
        shape = shapes[int(torch.multinomial(torch.tensor([s[5] for s in shapes]), 1, generator=g))]
        n = shape[4]
        x0, ids, length = card.pool(shape[:4]).draw(n)
        s = noise_levels(n, 2.5, device=dev)
        sv = s.view(-1, 1, 1, 1, 1)
        x = (1 - sv) * x0 + sv * torch.randn_like(x0)
        ids, length = without_captions(ids, length, 0.25)           # guidance asks without a caption as often as with one
        ctx, total = encode(card, ids, length), text_lengths(n, TEXT, 512, device=dev)
        with torch.no_grad():
            want = D.forward(dit, x, s * 1000, ctx, length, total)
        got = D.forward(dit, x, s * 1000, ctx, length, total, attend, delta.params(dit, extra_of(shape)))
        loss = (got - want).square().mean()
        descend(opt, loss, card.a.delta_lr * st.rate(30, 0.2))
        card.pool(shape[:4]).renew()
        st.tick(n, torch.stack([loss.detach(), loss.detach() / want.square().mean()]), tokens=x0[0, 0].numel() // 4)
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
    delta = Delta(dit).to(dev)
    opt = torch.optim.Adam(delta.parameters(), lr=card.a.delta_lr, betas=(0.9, 0.98))
    shapes = ((128, 128, 33, None, 64, 0.8), (256, 256, 33, None, 14, 0.1), (192, 192, 49, None, 18, 0.1))
    shapes = card.filled(TINY if card.a.tiny else shapes)
    flat = lambda s: s / (3 - 2 * s)                                # the schedule's even times, before flow shift 3
    back = lambda u: 3 * u / (1 + 2 * u)
    st, g = Stage("few", seconds), torch.Generator().manual_seed(3)
    empty = torch.zeros(1, TEXT, dtype=torch.long, device=dev)
    empty[0, 0] = 1

    def at(x, s, ctx, length, total, params=None):
        return D.forward(dit, x, torch.full((x.shape[0],), s * 1000, device=dev), ctx, length, total, params=params)
    while st.u() < 1:
        shape = shapes[int(torch.multinomial(torch.tensor([s[5] for s in shapes]), 1, generator=g))]
        n, k = shape[4], int(torch.randint(4, (1,), generator=g))
        x0, ids, length = card.pool(shape[:4]).draw(n)
        ctx = encode(card, torch.cat([ids, empty.expand(n, -1)]), torch.cat([length, torch.ones_like(length)]))
        length2, total = torch.cat([length, torch.ones_like(length)]), torch.full((2 * n,), 512, device=dev)
        x, params = torch.randn_like(x0), delta.params(dit)
        with torch.no_grad():
            for i in range(k):
                x = x + (sigmas[i + 1] - sigmas[i]) * at(x, sigmas[i], ctx[:n], length, total[:n], params)
            y, u0, u1 = x, flat(sigmas[k]), flat(sigmas[k + 1])
            for i in range(fine):
                s0, s1 = back(u0 + (u1 - u0) * i / fine), back(u0 + (u1 - u0) * (i + 1) / fine)
                c, u = at(torch.cat([y, y]), s0, ctx, length2, total).chunk(2)
                y = y + (s1 - s0) * (u + cfg * (c - u))
            want = (y - x) / (sigmas[k + 1] - sigmas[k])
        got = at(x, sigmas[k], ctx[:n], length, total[:n], delta.params(dit))
        loss = (got - want).square().mean()
        descend(opt, loss, card.a.delta_lr * st.rate(30, 0.3))
        st.tick(n, torch.stack([loss.detach(), loss.detach() / want.square().mean()]))
    return delta.named()
