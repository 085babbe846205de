"""Stage 1: train the video VAE on crops of the sprite world. Run the same command again to go on.

By pixels seen: single frames; then the temporal taps are re-initialised so that the network starts as a per-frame coder and
trains on 5 to 17 frames at 64 px; the last third is 17 frames at 64 to 128 px. --decoder-only continues with the encoder
frozen (the latents on disk stay valid), on 128 px from the start.
"""
import argparse
import json
import os
import time
import numpy as np
import torch
import vae_fast as V
from half import autocast
from parallel import Shared, launch, save_atomic
from schedule import Budget, read_state, write_state
from world import World

MICRO = 150_000                                                     # pixels a forward pass: larger ones leave the cache
# (share, scenes a process and step, frames, size): 12 to 16 scenes a step on two processes; fewer made the gradient so noisy
# that the loss rose when the clips began
IMAGES = ((1.0, 16, 1, 64),)
EARLY = ((0.4, 8, 5, 64), (0.6, 8, 9, 64))
MIDDLE = ((0.15, 8, 5, 64), (0.6, 8, 9, 64), (0.25, 6, 17, 64))
LATE = ((0.4, 6, 17, 64), (0.4, 4, 17, 96), (0.2, 2, 17, 128))


def plan(u, image_part, rng):
    rows = IMAGES if u < image_part else EARLY if u < 0.3 else MIDDLE if u < 0.67 else LATE
    return rows[rng.choice(len(rows), p=[r[0] for r in rows])][1:]


def batch(worlds, seed, n, frames, size):
    """Crops: the sprite may be cut by the border, as it is when it leaves the picture."""
    out = np.empty((n, frames, size, size, 3), np.uint8)
    rng = np.random.default_rng(seed)
    for i in range(n):
        # mostly the world to be learned first, some of the wide one: a wider world later must not need new latents
        w = worlds[int(rng.random() < 0.3)]
        px = (26, 72) if rng.random() < 0.8 else (60, 130)
        y, x = rng.integers(0, 33, 2)
        v = w.sample(seed + i, size + 32, size + 32, frames, size_px=px)["video"]
        out[i] = v[:, y:y + size, x:x + size]
    t = torch.from_numpy(out).permute(0, 4, 1, 2, 3).contiguous(memory_format=V.CL3).float()
    return t / 127.5 - 1


def inflate(vae):
    """Start the clips as (almost) a per-frame coder: old temporal taps scaled down, time convs near the identity."""
    for m in vae.modules():
        if isinstance(m, V.W.WanResample) and hasattr(m, "time_conv"):
            w = torch.zeros_like(m.time_conv.weight)
            c = w.shape[1]
            eye = torch.eye(c)
            if m.mode == "upsample3d":
                w[:c, :, 2, 0, 0] = eye
                w[c:, :, 2, 0, 0] = eye
            else:
                w[:, :, :, 0, 0] = eye[:, :, None] / 3
            m.time_conv.weight.data.copy_(w + 0.01 * torch.randn_like(w))
            m.time_conv.bias.data.zero_()
        elif isinstance(m, V.W.WanCausalConv3d) and m.weight.shape[2] == 3:
            m.weight.data[:, :, :2] = 0.1 * m.weight.data[:, :, :2]


def loss_of(vae, x, a):
    with autocast(x.device.type):
        with torch.set_grad_enabled(not a.decoder_only):
            m, lv = V.encode(vae, x)
        m, lv = m.float(), lv.float()
        # the decoder must forgive the transformer small errors: the posterior's own noise, or a fixed one when it is frozen
        z = m + torch.randn_like(m) * (a.noise if a.decoder_only else torch.exp(0.5 * lv))
        y = V.decode(vae, z).float()
    d = y - x
    rec = d.abs().mean()
    edge = (d[..., 1:] - d[..., :-1]).abs().mean() + (d[..., 1:, :] - d[..., :-1, :]).abs().mean()
    loss = rec + a.mse * d.square().mean() + a.edge * edge
    if a.log_mse:                                                   # PSNR itself: each clip counts by its own error
        loss = loss + a.log_mse * (d.square().mean((1, 2, 3, 4)) + 1e-6).log().mean()
    if x.shape[2] > 1:
        loss = loss + a.flicker * (d[:, :, 1:] - d[:, :, :-1]).abs().mean()
    kl = 0.5 * (m.square() + lv.exp() - 1 - lv).mean()
    return (loss if a.decoder_only else loss + a.kl * kl), rec, d.square().mean(), kl


def is_big(name, p):
    """What Muon updates: convolutions but the first and the last."""
    return p.requires_grad and p.dim() >= 4 and not any(k in name for k in ("conv_in", "decoder.conv_out.weight", "gamma"))


def worker(rank, a, vae, sh, st, ctrl):
    torch.set_num_threads(1)
    sh.attach(rank)
    worlds = (World("core"), World("wide", split="any"))
    torch.manual_seed(st["step"] * 8 + rank)
    bud = Budget(a.target_mpx * 1e6, a.minutes, warm=60, floor=0.03)
    step, px, first = st["step"], st["px"], st["step"]
    log_t, log_px, saved, acc = time.time(), px, time.time(), []

    def save():
        st.update(step=step, px=px)
        save_atomic(dict(sh.checkpoint(), st=st, base=a.base, blocks=a.blocks), a.ck)
        write_state(a.out, "vae", mpx=round(px / 1e6, 1), target_mpx=a.target_mpx, step=step, inflated=st["inflated"],
                    base=a.base, blocks=a.blocks, decoder_only=a.decoder_only)
    while True:
        if rank == 0:
            ctrl[0] = float(bud.done(px))
        sh.bar.wait()
        if ctrl[0]:
            break
        u = px / bud.target
        if not st["inflated"] and u >= a.image_part:
            if rank == 0:
                inflate(vae)
                sh.reset_optimiser()
                sh.ema.copy_(sh.flat)
            sh.bar.wait()
            st["inflated"], st["phase_step"] = True, step
        # warm-up after a start and when clips begin; a resumed run has its optimiser state and needs none
        since = step - max(first if a.fresh else 0, st.get("phase_step", 0))
        f = bud.rate(px, since) * (a.video_lr if st["inflated"] else 1.0)
        # the shape is drawn from the step number alone, so that all processes agree and a resumed run does too
        n, t, s = plan(1.0 if a.decoder_only else u, a.image_part, np.random.default_rng(step))
        k = max(1, min(n, MICRO // (t * s * s)))
        sh.zero_grad()
        for i in range(0, n, k):
            b = min(k, n - i)
            x = batch(worlds, a.seed + (step * sh.W + rank) * 32 + i, b, t, s)
            loss, rec, mse, kl = loss_of(vae, x, a)
            (loss * (b / n)).backward()
            acc.append((rec.item(), mse.item(), kl.item()))
        age = step - st.get("phase_step", 0)
        gn = sh.step(a.lr * f, a.lr * f, min(0.997, (age + 1) / (age + 20)), wd=0.0)
        step, px = step + 1, px + n * t * s * s * sh.W
        if rank == 0 and (step % a.log_every == 0):
            now, (l1, mse, kl) = time.time(), np.mean(acc, 0)
            line = dict(step=step, Mpx=round(px / 1e6, 1), l1=round(l1, 5), psnr=round(10 * np.log10(4 / mse), 2), kl=round(kl, 3),
                        gn=round(gn, 2), lr=round(f, 4), Mpx_s=round((px - log_px) / (now - log_t) / 1e6, 3))
            st["log"].append(line)
            print(json.dumps(line), flush=True)
            log_t, log_px, acc = now, px, []
        if rank == 0 and time.time() - saved > a.save_every:
            save()
            saved = time.time()
    if rank == 0:
        save()


def start(a):
    """Network, shared buffers and state: from this run's checkpoint, else --init-from, else from nothing."""
    vae = V.build(a.base, a.blocks)
    st = dict(step=0, px=0, inflated=False, log=[])
    d, a.fresh = None, True
    if os.path.exists(a.ck):
        d = torch.load(a.ck, weights_only=False)
        st, a.fresh = d["st"], False
    elif a.init_from and os.path.isdir(a.init_from):
        # a pipeline folder, or one with only vae weights: weights, and the place in the schedule if it was written down
        w = V.AutoencoderKLWan.from_pretrained(a.init_from, subfolder="vae").float().state_dict()
        d, s = dict(model=w, ema=w), read_state(a.init_from, "vae")
        st["inflated"] = True
        if s and bool(s["decoder_only"]) == a.decoder_only:
            st.update(step=s["step"], px=int(s["mpx"] * 1e6), inflated=s["inflated"])
    elif a.init_from:
        d = torch.load(a.init_from, weights_only=False)
        d = dict(model=d["ema"], ema=d["ema"])
        st["inflated"] = True
    if d:
        mine = {n: p.shape for n, p in vae.named_parameters()}
        if mine != {n: p.shape for n, p in d["ema"].items()}:
            raise SystemExit(f"{a.init_from or a.ck} has another shape than base {a.base} with {a.blocks} blocks")
        vae.load_state_dict(d["ema"])
    if a.decoder_only:                                              # frozen at the EMA that made the latents
        for p in list(vae.encoder.parameters()) + list(vae.quant_conv.parameters()):
            p.requires_grad_(False)
    sh = Shared(vae, is_big, a.procs)
    if d:
        if a.decoder_only:
            frozen = [n for n, p in vae.named_parameters() if not p.requires_grad]
            d["model"] = {n: (d["ema"][n] if n in frozen else w) for n, w in d["model"].items()}
        sh.restore(d)
    return vae, sh, st


def main():
    ap = argparse.ArgumentParser(description=__doc__)
    ap.add_argument("--out", required=True)
    ap.add_argument("--init-from", default=None, help="pipeline folder or .pt checkpoint; weights only, short warm-up")
    ap.add_argument("--target-mpx", type=float, default=1200, help="the whole budget, in million pixels seen")
    ap.add_argument("--minutes", type=float, default=1e9, help="stop (and save) after this long; does not move the schedule")
    ap.add_argument("--procs", type=int, default=2)
    ap.add_argument("--base", type=int, default=16)
    ap.add_argument("--blocks", type=int, default=2)
    ap.add_argument("--image-part", type=float, default=0.08)
    ap.add_argument("--lr", type=float, default=2e-3)
    ap.add_argument("--video-lr", type=float, default=0.3, help="rate factor for clips; at 1 the loss rises when they begin")
    ap.add_argument("--kl", type=float, default=2e-4)
    ap.add_argument("--edge", type=float, default=0.5)
    ap.add_argument("--mse", type=float, default=2.0, help="weight of the squared error, which is what PSNR counts")
    ap.add_argument("--flicker", type=float, default=0.25, help="weight of the error's change from frame to frame")
    ap.add_argument("--log-mse", type=float, default=0.0, help="weight of the logarithm of each clip's squared error: PSNR itself")
    ap.add_argument("--decoder-only", action="store_true")
    ap.add_argument("--noise", type=float, default=0.1, help="latent noise in --decoder-only")
    ap.add_argument("--seed", type=int, default=1_000_000)
    ap.add_argument("--eager", action="store_true", help="no compiled norm: slower, but starts at once and needs no compiler")
    ap.add_argument("--log-every", type=int, default=50)
    ap.add_argument("--save-every", type=float, default=90)
    a = ap.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    os.makedirs(a.out, exist_ok=True)
    a.ck = os.path.join(a.out, "vae.pt")
    V.patch()
    if not a.eager:
        V.compile_norm()
    vae, sh, st = start(a)
    launch(worker, a.procs, a, vae, sh, st, torch.zeros(1, dtype=torch.float64).share_memory_())
    print(json.dumps(dict(done=True, Mpx=round(torch.load(a.ck, weights_only=False)["st"]["px"] / 1e6, 1))), flush=True)


if __name__ == "__main__":
    main()
