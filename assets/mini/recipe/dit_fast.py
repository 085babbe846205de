"""Training-time evaluation of diffusers' WanTransformer3DModel: the same parameters and the same maths, but
 * one block function shared by all layers, which can be compiled once;
 * cross-attention over the real text tokens plus ONE zero token that stands for all padding: the pipeline attends to
   L - n identical zero-padded positions, which equals one such position with log(L - n) added to its logit.
"""
import torch
import torch.nn.functional as F
from diffusers import WanTransformer3DModel
from half import HALF

HEAD = 64


def build(dim=320, layers=7, ffn=1280, text_dim=192, freq_dim=256):
    return WanTransformer3DModel(
        patch_size=(1, 2, 2), num_attention_heads=dim // HEAD, attention_head_dim=HEAD, in_channels=16, out_channels=16,
        text_dim=text_dim, freq_dim=freq_dim, ffn_dim=ffn, num_layers=layers, cross_attn_norm=True,
        qk_norm="rms_norm_across_heads", eps=1e-6, rope_max_seq_len=1024)


def init(m):
    """Near-identity start: small gates, zero output, zero time modulation."""
    for n, p in m.named_parameters():
        if p.dim() == 2:
            torch.nn.init.xavier_uniform_(p)
        elif p.dim() == 1 and n.endswith("bias"):
            p.data.zero_()
    for b in m.blocks:
        b.scale_shift_table.data.zero_()
        b.scale_shift_table.data[:, (2, 5)] = 0.2
        b.attn2.to_out[0].weight.data.mul_(0.3)
    m.scale_shift_table.data.zero_()
    ce = m.condition_embedder
    torch.nn.init.normal_(ce.time_embedder.linear_1.weight, std=0.02)
    torch.nn.init.normal_(ce.time_embedder.linear_2.weight, std=0.02)
    ce.time_proj.weight.data.zero_()
    w = m.patch_embedding.weight
    torch.nn.init.xavier_uniform_(w.data.view(w.shape[0], -1))
    m.proj_out.weight.data.zero_()


def _lin(x, w, b):
    return F.linear(x, w.to(HALF), b.to(HALF))


def _rms(x, w, eps=1e-6):
    xf = x.float()
    return xf * torch.rsqrt(xf.square().mean(-1, keepdim=True) + eps) * w


def _rope(x, cos, sin):
    a, b = x.unflatten(-1, (-1, 2)).unbind(-1)
    return torch.stack((a * cos - b * sin, a * sin + b * cos), -1).flatten(-2)


def dense(q, k, v):
    return F.scaled_dot_product_attention(q, k, v)


def block(x, ctx, bias, mod, cos, sin, P, attend=dense, extra=()):
    """x fp32 [B,N,D]; ctx half [B,L,D]; bias fp32 [B,1,1,L]; mod fp32 [B,6,D]; cos, sin [1,N,1,32]; attend(q, k, v, *extra) with
    q, k, v half [B,H,N,64] is the self-attention"""
    (sst, q1w, q1b, k1w, k1b, v1w, v1b, o1w, o1b, nq1, nk1, q2w, q2b, k2w, k2b, v2w, v2b, o2w, o2b, nq2, nk2,
     n2w, n2b, f1w, f1b, f2w, f2b) = P
    D = x.shape[2]
    H = D // HEAD
    s1, c1, g1, s2, c2, g2 = (sst + mod).chunk(6, 1)
    h = (F.layer_norm(x, (D,), eps=1e-6) * (1 + c1) + s1).to(HALF)
    q = _rope(_rms(_lin(h, q1w, q1b), nq1).unflatten(2, (H, HEAD)), cos, sin).to(HALF).transpose(1, 2)
    k = _rope(_rms(_lin(h, k1w, k1b), nk1).unflatten(2, (H, HEAD)), cos, sin).to(HALF).transpose(1, 2)
    v = _lin(h, v1w, v1b).unflatten(2, (H, HEAD)).transpose(1, 2)
    a = attend(q, k, v, *extra).transpose(1, 2).flatten(2)
    x = x + _lin(a, o1w, o1b).float() * g1
    h = F.layer_norm(x, (D,), n2w, n2b, 1e-6).to(HALF)
    q = _rms(_lin(h, q2w, q2b), nq2).to(HALF).unflatten(2, (H, HEAD)).transpose(1, 2)
    k = _rms(_lin(ctx, k2w, k2b), nk2).to(HALF).unflatten(2, (H, HEAD)).transpose(1, 2)
    v = _lin(ctx, v2w, v2b).unflatten(2, (H, HEAD)).transpose(1, 2)
    s = (q @ k.transpose(-1, -2)).float() * HEAD ** -0.5 + bias
    a = (torch.softmax(s, -1).to(HALF) @ v).transpose(1, 2).flatten(2)
    x = x + _lin(a, o2w, o2b).float()
    h = (F.layer_norm(x, (D,), eps=1e-6) * (1 + c2) + s2).to(HALF)
    h = _lin(F.gelu(_lin(h, f1w, f1b), approximate="tanh"), f2w, f2b)
    return x + h.float() * g2


def block_params(b):
    out = [b.scale_shift_table]
    for t in (b.attn1, b.attn2):
        for l in (t.to_q, t.to_k, t.to_v, t.to_out[0]):
            out += [l.weight, l.bias]
        out += [t.norm_q.weight, t.norm_k.weight]
    f = b.ffn.net
    return out + [b.norm2.weight, b.norm2.bias, f[0].proj.weight, f[0].proj.bias, f[2].weight, f[2].bias]


_block = block


def compile_block(dynamic=False):
    """On CPUs about a fifth faster at 80 tokens, nothing at 576; half a minute of compiling a shape. On a graphics card, where every
    pass over memory counts, once for all shapes (`dynamic`). None: not compiled again."""
    global _block
    _block = block if dynamic is None else torch.compile(block, dynamic=dynamic)


def forward(m, x, t, ctx, n_tok, total_len, attend=dense, params=None, run=None):
    """x fp32 [B,16,T,H,W]; t [B] in 0..1000; ctx fp32 [B,L,text_dim], zero from n_tok [B] on, L > max n_tok; total_len [B] ints.
    `params`: for each block its parameters (as block_params gives them) and what `attend` takes beside q, k, v. `run`: the block
    function, else what compile_block left."""
    B, C, T, Hh, Ww = x.shape
    D = m.config.num_attention_heads * HEAD
    cos, sin = m.rope(x)
    cos, sin = cos[..., 0::2].float().contiguous(), sin[..., 1::2].float().contiguous()
    tok = x.view(B, C, T, Hh // 2, 2, Ww // 2, 2).permute(0, 2, 3, 5, 1, 4, 6).reshape(B, -1, C * 4)
    h = _lin(tok.to(HALF), m.patch_embedding.weight.view(D, -1), m.patch_embedding.bias).float()
    ce = m.condition_embedder
    temb = ce.time_embedder(ce.timesteps_proj(t))
    mod = ce.time_proj(F.silu(temb)).unflatten(1, (6, -1))
    te = ce.text_embedder
    c = te.linear_2(te.act_1(te.linear_1(ctx))).to(HALF)
    pos = torch.arange(ctx.shape[1], device=ctx.device)[None]
    bias = torch.where(pos < n_tok[:, None], 0.0, -30000.0)
    pad = torch.log((total_len - n_tok).clamp(min=1).float())[:, None]
    bias = torch.where(pos == n_tok[:, None], pad, bias)[:, None, None, :]
    for P, extra in params or [(block_params(b), ()) for b in m.blocks]:
        h = (run or _block)(h, c, bias, mod, cos, sin, P, attend, extra)
    sh, sc = (m.scale_shift_table + temb.unsqueeze(1)).chunk(2, 1)
    h = F.layer_norm(h, (D,), eps=1e-6) * (1 + sc) + sh
    o = _lin(h.to(HALF), m.proj_out.weight, m.proj_out.bias).float()
    o = o.view(B, T, Hh // 2, Ww // 2, 1, 2, 2, C).permute(0, 7, 1, 4, 2, 5, 3, 6)
    return o.reshape(B, C, T, Hh, Ww)


def check():
    """Largest difference from the stock class with 512 padded text positions (bf16 products: about 1 % of the scale)."""
    torch.manual_seed(0)
    m = build(128, 2, 256, 64)
    x, t, ctx, n = torch.randn(2, 16, 3, 8, 8), torch.tensor([700.0, 30.0]), torch.randn(2, 12, 64), torch.tensor([5, 9])
    for i in range(2):
        ctx[i, n[i]:] = 0
    with torch.no_grad():
        ref = m(x, t, torch.cat([ctx, torch.zeros(2, 500, 64)], 1), return_dict=False)[0]
        fast = forward(m, x, t, ctx, n, torch.full((2,), 512))
    return (ref - fast).abs().max().item(), ref.abs().mean().item()


if __name__ == "__main__":
    print("largest difference from the stock class %.4f, scale %.3f" % check())
