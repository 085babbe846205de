"""Whole-sequence (cache-free) evaluation of diffusers' AutoencoderKLWan for training.

The stock class walks the clip in chunks through a feature cache. The same maths over the whole clip at once is several
times faster and differentiable: the first frame is passed through alone by the temporal resamplers, later frames go
through `time_conv`. `check()` proves equality with the stock encode/decode.
"""
import torch, torch.nn.functional as F
from diffusers import AutoencoderKLWan
from diffusers.models.autoencoders import autoencoder_kl_wan as W

CL3 = torch.channels_last_3d
_stock = dict(conv=W.WanCausalConv3d.forward, norm=W.WanRMS_norm.forward, res=W.WanResample.forward)


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
    y = _rows(x.movedim(1, -1).reshape(-1, c), self.gamma.view(1, c), self.scale)
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


def patch():
    W.WanCausalConv3d.forward, W.WanRMS_norm.forward, W.WanResample.forward = _conv, _norm, _res


def unpatch():
    W.WanCausalConv3d.forward, W.WanRMS_norm.forward, W.WanResample.forward = _stock["conv"], _stock["norm"], _stock["res"]


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


def check(vae):
    x = torch.rand(1, 3, 13, 32, 32) * 2 - 1
    with torch.no_grad():
        unpatch()
        d = vae.encode(x).latent_dist
        y = vae.decode(d.mean).sample
        patch()
        m, lv = encode(vae, x)
        y2 = decode(vae, m).clamp(-1, 1)
    return float((d.mean - m).abs().max()), float((y - y2).abs().max())


if __name__ == "__main__":
    for blocks in (1, 2):
        v = build(8, blocks)
        for p in v.parameters():                                    # gammas of one and zero biases would hide mistakes
            p.data.add_(0.05 * torch.randn_like(p))
        print("blocks", blocks, "largest difference from the stock class: latent %.1e, pixels %.1e" % check(v))
