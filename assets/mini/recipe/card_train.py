"""The whole chain on one graphics card in minutes, by the clock: VAE, transformer from 64x64x17 up to 256x256x81, decoder, variants.

The card draws the clips itself (compose.py), so nothing waits for a pool: it is filled and renewed while the card trains.
Unlike the CPU chain this one is not resumed: every stage has its seconds, and its rate follows them. After each stage the
results lie in --out as they are then.
"""
import argparse
import copy
import json
import math
import os
import time
import traceback
from types import SimpleNamespace
import torch
from safetensors.torch import load_file
import dit_fast as D
import text as T
import vae_fast as V
from compose import Atlas, Feed, compose
from half import HALF
from dit_train import TEXT, flow_errors, load_pipeline_weights, noise_levels, start_net, text_lengths, without_captions
from parallel import Shared, save_pieces
from pool import load_vae
from vae_train import EARLY, IMAGES, MIDDLE, inflate, is_big as vae_big, loss_of

PART = 14 << 20                                                     # bytes of one file
# width, height, frames, sprite pixels, clips a step, share of the steps. A step is about 70,000 tokens in every shape.
LOW = ((64, 64, 17, (28, 44), 512, 1.0),)
MAIN = ((128, 128, 33, None, 128, 1.0),)
ALL = ((128, 128, 33, None, 128, 0.60), (96, 96, 17, None, 384, 0.05), (192, 128, 33, None, 80, 0.05), (192, 192, 49, None, 36, 0.10),
       (256, 256, 33, None, 28, 0.08), (256, 256, 81, None, 12, 0.12))
# share, scenes a step, frames, size, and what is drawn unless it is crops
LAST = ((0.2, 24, 17, 64), (0.2, 8, 17, 96), (0.35, 4, 33, 128), (0.25, 2, 17, 256))
# of a VAE that is trained already: mostly whole clips, whose fast motion is what it gets wrong
FINE = ((0.1, 8, 17, 96), (0.15, 4, 33, 128), (0.45, 4, 33, 128, "whole"), (0.3, 2, 17, 256, "whole"))
TINY = ((32, 32, 9, (10, 16), 4, 1.0),)                             # a trial without a card
WEIGHTS = SimpleNamespace(kl=2e-4, edge=0.5, mse=6.0, log_mse=0.0, flicker=0.25, noise=0.05, decoder_only=False)
FINE_WEIGHTS = SimpleNamespace(kl=2e-4, edge=0.2, mse=15.0, log_mse=0.03, flicker=0.15, noise=0.02, decoder_only=False)


class Stage:
    """Where a stage is in its seconds, and its log."""

    LEAST = dict(vae=3e6, main=600)                                 # a second, after 30 s: less means something is wrong

    def __init__(self, name, seconds, log_every=5.0, demand=False):
        self.demand = self.LEAST.get(name) if demand else None
        self.name, self.t0, self.seconds, self.every, self.last = name, time.time(), seconds, log_every, time.time()
        self.step, self.seen, self.acc, self.mark = 0, 0, [], 0

    def u(self):
        return min(1.0, (time.time() - self.t0) / max(self.seconds, 1e-9))

    def rate(self, warm, hold, floor=0.02):
        c = max(0.0, (self.u() - hold) / max(1 - hold, 1e-9))
        return min(1.0, (self.step + 1) / warm) * (floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * c)))

    def tick(self, n, value, **more):
        """`value` stays a tensor: reading it would wait for the card."""
        self.step, self.seen = self.step + 1, self.seen + n
        self.acc.append(value)
        now = time.time()
        if now - self.last > self.every or self.u() >= 1:
            v = torch.stack(self.acc).float().mean(0)
            print(json.dumps(dict(stage=self.name, s=round(now - self.t0, 1), step=self.step, seen=self.seen,
                                  value=[round(float(x), 5) for x in v.flatten()], a_second=round((self.seen - self.mark) / (now - self.last), 1),
                                  **more)), flush=True)
            if self.demand and now - self.t0 > 30 and (self.seen - self.mark) / (now - self.last) < self.demand:
                raise SystemExit(f"{self.name}: too slow to be of use")
            self.acc, self.last, self.mark = [], now, self.seen


class Card:
    def __init__(self, a):
        self.a, self.dev = a, a.device
        self.tok = T.Tokenizer(a.tokenizer)
        self.feed = Feed(a.procs, a.tokenizer)
        self.atlas = Atlas(self.dev)
        V.patch_card(a.compile)
        if a.compile:
            D.compile_block(dynamic=True)
        self.pools, self.stats, self.report = {}, None, {}
        names = dict(sla="mini-sla", radial="mini-radial", few="mini-4step")
        at = {k: os.path.join(a.start or "", v, "delta.safetensors") for k, v in names.items()}
        self.start = {k: load_file(f) for k, f in at.items() if a.start and os.path.exists(f)}

    def put(self, name, obj):
        save_pieces(obj, os.path.join(self.a.out, name), PART)

    # --- VAE
    def vae_shapes(self, u, fresh):
        return FINE if not fresh else IMAGES if u < 0.08 else EARLY if u < 0.25 else MIDDLE if u < 0.55 else LAST

    def train_vae(self, seconds, decoder_only=False):
        a, dev = self.a, self.dev
        fresh = not a.init_from and not decoder_only
        if not hasattr(self, "vae"):
            self.vae = load_vae(a.init_from) if a.init_from else V.build()
            if seconds == 0 or decoder_only:                        # the transformer knows the latents by these
                self.set_stats(self.vae.config.latents_mean, self.vae.config.latents_std)
        if seconds == 0:
            self.vae.to(dev).eval()
            self.coder = copy.deepcopy(self.vae).to(HALF)
            return
        vae = self.vae.to(dev) if dev != "cpu" else self.vae
        w = copy.copy(WEIGHTS if fresh else FINE_WEIGHTS)
        w.decoder_only = decoder_only
        for n, p in vae.named_parameters():
            p.requires_grad_(not decoder_only or n.startswith(("decoder", "post_quant")))
        sh = Shared(vae, vae_big, 1, dev)
        sh.attach(0)
        st, inflated, g = Stage("decoder" if decoder_only else "vae", seconds, demand=dev != "cpu"), not fresh, torch.Generator().manual_seed(0)
        while st.u() < 1:
            rows = self.vae_shapes(st.u(), fresh)
            if not inflated and rows is not IMAGES:
                inflate(vae)
                sh.reset_optimiser()
                inflated = True
            k = int(torch.multinomial(torch.tensor([r[0] for r in rows]), 1, generator=g))
            n, frames, size, maker = (rows[k][1:] + ("crops",))[:4]
            n, frames, size = (2, 5, 32) if a.tiny else (n, frames, size)
            tag = ("vae", maker, n, frames, size)
            if tag not in self.feed.kinds:
                self.feed.ask(tag, maker, 0, (n, frames, size) + ((size, None) if maker == "whole" else ()), a.ahead)
            x = compose(self.atlas, self.feed.get(tag, dev)).contiguous(memory_format=V.CL3)
            sh.zero_grad()
            loss, rec, mse, kl = loss_of(vae, x, w)
            loss.backward()
            f = st.rate(60, 0.0) * (0.3 if inflated else 1.0)
            sh.step(a.vae_lr * f, a.vae_lr * f, min(0.997, (st.step + 1) / (st.step + 20)), wd=0.0)
            st.tick(x.numel() // 3, torch.stack([rec.detach(), mse.detach(), kl.detach()]))
        for tag in [t for t in self.feed.kinds if t[0] == "vae"]:
            self.feed.drop(tag)
        ema = sh.named(sh.ema)
        self.vae = V.build()
        self.vae.load_state_dict({n: p.cpu() for n, p in ema.items()})
        self.vae.to(dev).eval()
        for p in self.vae.parameters():
            p.requires_grad_(False)
        self.measure_vae()
        self.put("vae.pt", dict(ema={n: p.bfloat16().cpu() for n, p in ema.items()}, base=16, blocks=2, report=self.report))

    def set_stats(self, mean, std):
        self.stats = tuple(torch.as_tensor(v, device=self.dev).float().view(1, 16, 1, 1, 1) for v in (mean, std))
        self.report.update(mean=self.stats[0].flatten().tolist(), std=self.stats[1].flatten().tolist())

    @torch.no_grad()
    def measure_vae(self):
        """PSNR on rendered clips, and (once) the latents' mean and deviation."""
        self.coder = copy.deepcopy(self.vae).to(HALF)
        for w, h, f, n in ((32, 32, 9, 2),) if self.a.tiny else ((128, 128, 33, 48), (256, 256, 33, 12)):
            tag = ("measure", w)
            self.feed.ask(tag, "measured", 0, (n, f, w, h), 1)
            x = compose(self.atlas, self.feed.get(tag, self.dev))
            self.feed.drop(tag)
            z = self.encode(x)
            y = torch.cat([V.decode(self.coder, z[i:i + 1].to(HALF)).float().clamp(-1, 1) for i in range(n)])
            psnr = 10 * torch.log10(4 / (y - x).square().mean((1, 2, 3, 4)))
            self.report[f"{w}x{h}x{f}"] = round(float(psnr.mean()), 2)
            if not self.stats:
                self.set_stats(z.mean((0, 2, 3, 4)), z.std((0, 2, 3, 4)))
        print(json.dumps({k: v for k, v in self.report.items() if "x" in k}), flush=True)

    @torch.no_grad()
    def encode(self, x):
        step = max(1, 20_000_000 // (x.numel() // x.shape[0] // 3))
        parts = [V.encode(self.coder, x[i:i + step].to(HALF).contiguous(memory_format=V.CL3))[0].float() for i in range(0, len(x), step)]
        return torch.cat(parts)

    # --- latents
    def pool(self, shape):
        if shape not in self.pools:
            self.pools[shape] = Latents(self, shape)
        return self.pools[shape]

    def filled(self, shapes):
        """The shapes, with clips in the pool of each; the first is the one used most."""
        for s in shapes:
            if not self.pool(s[:4]).made:
                self.pool(s[:4]).fill(self.a.fill if s is shapes[0] else self.a.fill / 8)
        return shapes

    # --- transformer
    def start_dit(self):
        a = self.a
        self.net, w = start_net(self.tok, 320, 7), load_pipeline_weights(a.init_from) if a.init_from else None
        if w:
            self.net.load_state_dict(w, strict=False)
        self.net.to(self.dev)
        self.sh = Shared(self.net, lambda n, p: n.startswith("dit.blocks.") and p.dim() == 2, 1, self.dev)
        self.sh.attach(0)

    def train_dit(self, name, seconds, shapes, warm, hold, ema, shift):
        """One stage: constant rate for `hold` of its seconds, then a cosine down; hold 1 leaves the fall to a later stage."""
        a, sh, st, g = self.a, self.sh, Stage(name, seconds, demand=self.dev != "cpu"), torch.Generator().manual_seed(1)
        shapes = TINY if a.tiny else shapes
        share = torch.tensor([s[5] for s in shapes])
        self.filled(shapes)
        st.t0 = st.last = time.time()
        by_t = torch.zeros(2, 5, device=self.dev)
        while st.u() < 1:
            w, h, frames, px, n, _ = shapes[int(torch.multinomial(share, 1, generator=g))]
            pool = self.pool((w, h, frames, px))
            x0, ids, length = pool.draw(n)
            ids, length = without_captions(ids, length, 0.1)
            s = noise_levels(n, shift if frames < 80 else max(shift, 3.0), device=self.dev)
            sh.zero_grad()
            per = flow_errors(self.net["dit"], self.net["te"], x0, torch.randn_like(x0), s, ids, length, text_lengths(n, TEXT, 512, device=self.dev))
            per.mean().backward()
            f = st.rate(warm, hold)
            sh.step(a.lr * f, a.adam_lr * f, min(ema, (st.step + 1) / (st.step + 10)) if name == "low" else ema)
            pool.renew()
            st.tick(n, per.detach().mean(), clips=pool.made)
        self.put("dit.pt", dict(ema={n: p.bfloat16().cpu() for n, p in sh.named(sh.ema).items()}, cfg=dict(dim=320, layers=7, ffn=1280)))

    def use_ema(self):
        """From here on the net is the averaged one, and fixed."""
        self.sh.flat.copy_(self.sh.ema)
        for p in self.net.parameters():
            p.requires_grad_(False)
            p.grad = None


class Latents:
    """Encoded clips of one shape with several captions each, on the card; the oldest are replaced."""
    CAPTIONS = 6

    def __init__(self, card, shape):
        self.card, self.shape = card, shape
        w, h, f, px = shape
        lat = (16, (f - 1) // 4 + 1, h // 8, w // 8)
        self.batch = max(1, min(48, 20_000_000 // (w * h * f))) if not card.a.tiny else 4
        cap = max(64, int(card.a.pool_gb * 2**30 / 2 / math.prod(lat)) // self.batch * self.batch) if not card.a.tiny else 16
        dev = card.dev
        self.x = torch.zeros(cap, *lat, dtype=torch.float16, device=dev)
        self.ids = torch.zeros(cap, self.CAPTIONS, TEXT, dtype=torch.int16, device=dev)
        self.n = torch.zeros(cap, self.CAPTIONS, dtype=torch.int16, device=dev)
        self.made, self.used, self.tag = 0, 0, ("latents",) + shape
        card.feed.ask(self.tag, "whole", self.CAPTIONS, (self.batch, f, w, h, px), card.a.ahead)

    def take(self, block):
        b = self.card.feed.get(self.tag, self.card.dev, block)
        if b is None:
            return False
        mean, std = self.card.stats
        z = (self.card.encode(compose(self.card.atlas, b)) - mean) / std
        at = (torch.arange(len(z), device=z.device) + self.made) % len(self.x)
        self.x[at], self.ids[at], self.n[at] = z.half(), b["ids"], b["length"]
        self.made += len(z)
        return True

    def fill(self, seconds):
        end = time.time() + seconds
        while self.made < self.batch or (time.time() < end and self.made < len(self.x)):
            self.take(True)
        if self.card.dev != "cpu":
            torch.cuda.synchronize()
        print(json.dumps(dict(pool=self.shape[:3], clips=self.made, a_second=round(self.made / max(time.time() - end + seconds, 1e-3), 1))), flush=True)

    def draw(self, n):
        self.used += n
        i = torch.randint(min(self.made, len(self.x)), (n,), device=self.x.device)
        v = torch.randint(self.CAPTIONS, (n,), device=i.device)
        return self.x[i].float(), self.ids[i, v].long(), self.n[i, v].long()

    def renew(self):
        """Each clip is used --reuse times on average, as far as the processes keep up."""
        if self.used > self.made * self.card.a.reuse:
            self.take(False)


def main():
    ap = argparse.ArgumentParser(description=__doc__)
    ap.add_argument("--out", required=True)
    ap.add_argument("--tokenizer", required=True)
    ap.add_argument("--init-from", default=None, help="pipeline folder to start from")
    ap.add_argument("--device", default="cuda")
    ap.add_argument("--procs", type=int, default=max(1, (os.cpu_count() or 2) - 1))
    for k, v in dict(vae=100, low=40, main=130, all=150, decoder=20, sla=30, radial=25, few=45).items():
        ap.add_argument("--" + k, type=float, default=v, help=f"seconds of this stage, default {v}")
    ap.add_argument("--vae-lr", type=float, default=2e-3)
    ap.add_argument("--lr", type=float, default=3e-3)
    ap.add_argument("--adam-lr", type=float, default=1.5e-3)
    ap.add_argument("--delta-lr", type=float, default=1e-3)
    ap.add_argument("--reuse", type=float, default=30)
    ap.add_argument("--fill", type=float, default=8, help="seconds to fill a stage's main pool before it starts")
    ap.add_argument("--pool-gb", type=float, default=3)
    ap.add_argument("--ahead", type=int, default=24, help="batches of scripts in flight, for each kind")
    ap.add_argument("--masks", default=None, help="block masks of the radial plan (variants.py)")
    ap.add_argument("--tiny", action="store_true", help="small batches everywhere: a trial without a card")
    ap.add_argument("--eager", dest="compile", action="store_false")
    ap.add_argument("--compile-deltas", action="store_true", help="pays from some four minutes a delta on")
    ap.add_argument("--start", default=None, metavar="VARIANTS", help="folder of the deltas to go on from, mini-sla/ and so on")
    a = ap.parse_args()
    torch.manual_seed(0)
    os.makedirs(a.out, exist_ok=True)
    if a.device != "cpu":
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
        torch.set_float32_matmul_precision("high")
    t0, c = time.time(), Card(a)
    mark = lambda k: print(json.dumps(dict(done=k, at=round(time.time() - t0, 1))), flush=True)
    c.train_vae(a.vae)
    mark("vae")
    c.start_dit()
    for name, seconds, shapes, warm, hold, ema, shift in (("low", a.low, LOW, 100, 1.0, 0.998, 1.5), ("main", a.main, MAIN, 30, 1.0, 0.999, 2.0),
                                                          ("all", a.all, ALL, 30, 0.1, 0.998, 2.0)):
        if seconds > 0:
            c.train_dit(name, seconds, shapes, warm, hold, ema, shift)
            mark(name)
    c.use_ema()
    if a.decoder > 0:
        c.train_vae(a.decoder, decoder_only=True)
        mark("decoder")
    D.compile_block(None)                                           # compiled anew for each delta they would not pay
    from variants import few_steps, radial, sparse_linear
    for name, seconds, make in (("sla", a.sla, sparse_linear), ("radial", a.radial, radial), ("few", a.few, few_steps)):
        if seconds > 0:
            try:
                c.put(name + ".pt", make(c, seconds))
            except Exception:                                       # the dense model is worth more than a variant of it
                traceback.print_exc()
            mark(name)
    c.feed.close()


if __name__ == "__main__":
    main()
