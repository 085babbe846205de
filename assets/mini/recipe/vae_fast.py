"""Whole-sequence (cache-free) evaluation of diffusers' AutoencoderKLWan for training.

The stock class walks the clip in chunks through a feature cache. The same maths over the whole clip at once is several
times faster and differentiable: the first frame is passed through alone by the temporal resamplers, later frames go
through `time_conv`. `check()` proves equality with the stock encode/decode.
"""
import torch, torch.nn.functional as F
from diffusers import AutoencoderKLWan
from diffusers.models.autoencoders import autoencoder_kl_wan as W

CL3 = torch.channels_last_3d
_stock = dict(conv=W.WanCausalConv3d.forward, norm=W.WanRMS_norm.forward, res=W.WanResample.forward, block=W.WanResidualBlock.forward)


def _conv(self, x, cache_x=None):
    if cache_x is not None:
        return _stock["conv"](self, x, cache_x)
    p = self._padding
    if any(p):
        x = F.pad(x, p)
    return F.conv3d(x, self.weight, self.bias, self.stride)


def _norm_rows(x, gamma, scale):
    xf = x.float()
    return (xf * torch.rsqrt(xf.square().sum(1, keepdim=True) + 1e-12) * scale * gamma).to(x.dtype)


_rows = _norm_rows


def compile_norm():
    """Fuse the norm, a quarter of a training step when run as separate passes over memory. Rows of channels, so that one
    compilation a width serves every clip shape. Needs a C++ compiler; without one training is only slower."""
    global _rows
    _rows = torch.compile(_norm_rows, dynamic=True)


def _norm(self, x):
    c = x.shape[1]
    y = _rows(x.movedim(1, -1).reshape(-1, c).contiguous(), self.gamma.flatten(), self.scale)
    return y.view(x.shape[:1] + x.shape[2:] + (c,)).movedim(-1, 1)


def _res(self, x, feat_cache=None, feat_idx=[0]):
    if feat_cache is not None:
        return _stock["res"](self, x, feat_cache, feat_idx)
    b, c, t, h, w = x.shape
    if self.mode == "upsample3d" and t > 1:
        y = self.time_conv(x[:, :, 1:])
        y = y.view(b, 2, c, t - 1, h, w).permute(0, 2, 3, 1, 4, 5).reshape(b, c, 2 * (t - 1), h, w)
        x = torch.cat([x[:, :, :1], y], 2)
        t = x.shape[2]
    if self.mode.startswith("upsample"):
        conv = self.resample[1]
        x = x.repeat_interleave(2, 3).repeat_interleave(2, 4)
        x = F.conv3d(x, conv.weight.unsqueeze(2), conv.bias, padding=(0, 1, 1))
    elif self.mode.startswith("downsample"):
        conv = self.resample[1]
        x = F.conv3d(F.pad(x, (0, 1, 0, 1)), conv.weight.unsqueeze(2), conv.bias, stride=(1, 2, 2))
        if self.mode == "downsample3d" and t > 1:
            x = torch.cat([x[:, :, :1], self.time_conv(x)], 2)
    return x


def _last(x):
    """[B,C,T,H,W] -> [B,T,H,W,C]; no copy when channels come last in memory, as they do throughout on a card."""
    return x.movedim(1, -1).contiguous()


def _pictures(xl):
    """[B,T,H,W,C] as a batch of pictures [B*T,C,H,W]"""
    return xl.flatten(0, 1).permute(0, 3, 1, 2)


def _clip(y, b):
    n, c, h, w = y.shape
    return y.view(b, n // b, c, h, w).movedim(1, 2)


def _conv_flat(self, x, cache_x=None):
    """The causal convolution as one over pictures that hold the channels of all temporal taps side by side. Graphics cards have
    fast kernels for that shape, and not for three dimensions with few channels."""
    if cache_x is not None:
        return _stock["conv"](self, x, cache_x)
    kt, st = self.weight.shape[2], self.stride[0]
    front, (ph, pw) = self._padding[4], (self._padding[2], self._padding[0])
    x = _last(x)
    if kt > 1:
        if front:
            x = F.pad(x, (0, 0, 0, 0, 0, 0, front, 0))
        t = (x.shape[1] - kt) // st + 1
        x = torch.cat([x[:, k:k + st * (t - 1) + 1:st] for k in range(kt)], -1)
    w, out = self.weight.movedim(2, 1).flatten(1, 2), self.weight.shape[0]
    spare = -w.shape[1] % 8, -out % 8                               # tensor cores take channels by eight
    if any(spare):
        x, w = F.pad(x, (0, spare[0])), F.pad(w, (0, 0, 0, 0, 0, spare[0], 0, spare[1]))
    y = F.conv2d(_pictures(x), w, F.pad(self.bias, (0, spare[1])), padding=(ph, pw))
    return _clip(y if not spare[1] else y[:, :out], x.shape[0])


def _res_flat(self, x, feat_cache=None, feat_idx=[0]):
    b, t = x.shape[0], x.shape[2]
    x = _last(x)
    if self.mode == "upsample3d" and t > 1:
        y = _last(self.time_conv(x[:, 1:].movedim(-1, 1))).unflatten(-1, (2, -1))
        x = torch.cat([x[:, :1], y.movedim(4, 2).flatten(1, 2)], 1)
    if self.mode.startswith("upsample"):
        y = F.interpolate(_pictures(x), scale_factor=2.0, mode="nearest")
        x = _clip(F.conv2d(y, self.resample[1].weight, self.resample[1].bias, padding=1), b)
    elif self.mode.startswith("downsample"):
        y = _pictures(F.pad(x, (0, 0, 0, 1, 0, 1)))
        x = _clip(F.conv2d(y, self.resample[1].weight, self.resample[1].bias, stride=2), b)
        if self.mode == "downsample3d" and t > 1:
            x = torch.cat([_last(x)[:, :1], _last(self.time_conv(x))], 1).movedim(-1, 1)
    else:
        x = x.movedim(-1, 1)
    return x


def _norm_silu_rows(x, gamma, scale):
    return F.silu(_norm_rows(x, gamma, scale))


def _residual(self, x, feat_cache=None, feat_idx=[0]):
    def half(x, norm, conv):
        c = x.shape[1]
        rows = x.movedim(1, -1)
        y = _silu_rows(rows.reshape(-1, c).contiguous(), norm.gamma.flatten(), norm.scale)
        return conv(y.view(rows.shape).movedim(-1, 1))
    h = self.conv_shortcut(x)
    return half(half(x, self.norm1, self.conv1), self.norm2, self.conv2) + h


_silu_rows = _norm_silu_rows


def patch_card(compiled=True):
    """The same maths in the shapes and the few passes over memory that graphics cards want."""
    global _rows, _silu_rows
    W.WanCausalConv3d.forward, W.WanRMS_norm.forward, W.WanResample.forward = _conv_flat, _norm, _res_flat
    W.WanResidualBlock.forward = _residual
    if compiled:
        # one kernel for each number of channels and any number of rows: with unknown channels a row gets a whole thread block
        torch._dynamo.config.automatic_dynamic_shapes = False
        torch._dynamo.config.recompile_limit = 64

        def any_rows(f):
            f = torch.compile(f)

            def call(x, gamma, scale):
                torch._dynamo.maybe_mark_dynamic(x, 0)
                return f(x, gamma, scale)
            return call
        _rows, _silu_rows = any_rows(_norm_rows), any_rows(_norm_silu_rows)


def patch():
    W.WanCausalConv3d.forward, W.WanRMS_norm.forward, W.WanResample.forward = _conv, _norm, _res


def unpatch():
    W.WanCausalConv3d.forward, W.WanRMS_norm.forward, W.WanResample.forward = _stock["conv"], _stock["norm"], _stock["res"]
    W.WanResidualBlock.forward = _stock["block"]


def encode(vae, x):
    """[B,3,T,H,W] in -1..1 -> mean, logvar"""
    m, lv = vae.quant_conv(vae.encoder(x)).chunk(2, 1)
    return m, lv.clamp(-30, 20)


def decode(vae, z):
    return vae.decoder(vae.post_quant_conv(z))


def to_cl3(vae):
    for p in vae.parameters():
        if p.dim() == 5:
            p.data = p.data.contiguous(memory_format=CL3)
    return vae


def build(base_dim=16, num_res_blocks=2, mean=None, std=None):
    """Base 16 with two blocks: 3.6 M parameters, 7 MiB. See the README for why not one block or base 24."""
    return AutoencoderKLWan(base_dim=base_dim, z_dim=16, dim_mult=[1, 2, 4, 4], num_res_blocks=num_res_blocks,
                            attn_scales=[], temperal_downsample=[False, True, True], dropout=0.0,
                            latents_mean=mean or [0.0] * 16, latents_std=std or [1.0] * 16)


def check(vae, fast=patch):
    x = torch.rand(1, 3, 13, 32, 32) * 2 - 1
    with torch.no_grad():
        unpatch()
        d = vae.encode(x).latent_dist
        y = vae.decode(d.mean).sample
        fast()
        m, lv = encode(vae, x)
        y2 = decode(vae, m).clamp(-1, 1)
    return float((d.mean - m).abs().max()), float((y - y2).abs().max())


if __name__ == "__main__":
    for blocks in (1, 2):
        v = build(8, blocks)
        for p in v.parameters():                                    # gammas of one and zero biases would hide mistakes
            p.data.add_(0.05 * torch.randn_like(p))
        print("blocks", blocks, "largest difference from the stock class: latent %.1e, pixels %.1e" % check(v))
        print("as on a card: latent %.1e, pixels %.1e" % check(v, lambda: patch_card(False)))
