"""The judge's eyes: a small network that says for each of 16 x 16 cells of a frame which subject, if any, it shows, and what
colour; the tracks and colour bands that classical vision makes of it; and linear classifiers on those.

Nothing here has seen a generated clip. All of it is fitted on rendered sprites (judge_train.py).
"""
import cv2
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
import vocab as V

GRID, SIDE = 16, 64


class Cells(nn.Module):
    """64 x 64 picture -> 16 x 16 cells of subject logits (0: background) and colour logits"""

    def __init__(self, subjects, colours, c=48):
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 32, 3, 2, 1), nn.Conv2d(32, c, 3, 2, 1)
        dil = (1, 2, 3, 4, 2, 1)                                    # one sprite is 5 to 10 cells wide
        self.body = nn.ModuleList(nn.Conv2d(c, c, 3, 1, d, d) for d in dil)
        self.norm = nn.ModuleList(nn.GroupNorm(8, c) for _ in dil)
        self.subject, self.colour = nn.Conv2d(c, subjects + 1, 1), nn.Conv2d(c, colours, 1)

    def forward(self, x):
        x = F.gelu(self.b(F.gelu(self.a(x))))
        for conv, norm in zip(self.body, self.norm):
            x = x + F.gelu(conv(norm(x)))
        return self.subject(x), self.colour(x)


def to_input(video):
    """uint8 [F,H,W,3] of any size -> [F,3,64,64]"""
    v = video if video.shape[1:3] == (SIDE, SIDE) else np.stack([cv2.resize(f, (SIDE, SIDE), interpolation=cv2.INTER_AREA) for f in video])
    return torch.from_numpy(v).permute(0, 3, 1, 2).float() / 127.5 - 1


def place_name(scene):
    """A wall of the wrong colour is a wrong background."""
    return f"{scene['wall']} wall" if scene["background"] == "wall" else scene["background"]


PLACES = tuple(k for k in V.BACKGROUNDS if k != "wall") + tuple(f"{k} wall" for k in V.WALLS)


class Linear:
    """Softmax regression on standardised features, with random Fourier features beside them."""

    def fit(self, x, y, classes, lift=300, l2=1e-4):
        g = torch.Generator().manual_seed(0)
        x, y = torch.tensor(np.asarray(x), dtype=torch.float32), torch.tensor(np.asarray(y))
        self.mu, self.sd = x.mean(0), x.std(0) + 1e-3
        self.p = torch.randn(x.shape[1], lift, generator=g) / x.shape[1] ** 0.5
        self.q = torch.rand(lift, generator=g) * 2 * np.pi
        z = self._lift(x)
        self.w, self.b = torch.zeros(z.shape[1], classes, requires_grad=True), torch.zeros(classes, requires_grad=True)
        opt = torch.optim.LBFGS([self.w, self.b], max_iter=200, history_size=10, line_search_fn="strong_wolfe")

        def closure():
            opt.zero_grad()
            loss = F.cross_entropy(z @ self.w + self.b, y) + l2 * self.w.square().sum()
            loss.backward()
            return loss
        opt.step(closure)
        return self

    def _lift(self, x):
        x = ((x - self.mu) / self.sd).clamp(-6, 6)
        return torch.cat([x, 2 * torch.cos(x @ self.p + self.q)], 1)

    @torch.no_grad()
    def __call__(self, x):
        return int((self._lift(torch.tensor(x[None], dtype=torch.float32)) @ self.w + self.b).argmax())

    def state(self):
        return {k: getattr(self, k).detach() for k in ("mu", "sd", "p", "q", "w", "b")}

    def load(self, s):
        self.__dict__.update(s)
        return self


@torch.no_grad()
def look(net, video):
    """All that is measured on a clip: subject and colour masses, features for motion, background and count."""
    x = to_input(video)
    ls, lc = net(x)
    p = torch.softmax(ls.float(), 1).numpy()                        # [F, 1+S, 16, 16]
    fg = 1 - p[:, 0]
    mass = p[:, 1:].sum((0, 2, 3))
    colour = (torch.softmax(lc.float(), 1).numpy() * fg[:, None]).sum((0, 2, 3))
    return dict(mass=mass, colour=colour, motion=_motion(fg), place=_place(x, fg), count=_count(p, fg))


def _motion(fg):
    """Slopes, residuals and ranges of the foreground's centre and size over the clip."""
    n = len(fg)
    yy, xx = np.mgrid[0:GRID, 0:GRID] / (GRID - 1.0)
    a = fg.sum((1, 2)) + 1e-3
    x, y, s = (fg * xx).sum((1, 2)) / a, (fg * yy).sum((1, 2)) / a, 0.5 * np.log(a)
    t = np.linspace(-1, 1, n)
    out = []
    for v in (x, y, s):
        k, m = np.polyfit(t, v, 1)
        r = v - k * t - m
        bend = np.polyfit(t, v, 2)[0]
        out += [k, abs(k), r.std(), v.max() - v.min(), bend, np.abs(np.diff(v)).mean() * n, np.mean(r[1:] * r[:-1] < 0)]
    return np.array(out)


def _place(x, fg):
    """Mean and spread of the colours outside the foreground, in eight bands from top to bottom."""
    pic = F.avg_pool2d(x, SIDE // GRID).numpy()                     # [F,3,16,16]
    fine = F.avg_pool2d(x.square(), SIDE // GRID).numpy() - pic ** 2
    w = np.clip(1 - 3 * fg, 0, 1) + 1e-4
    out = []
    for r in np.array_split(np.arange(GRID), 8):
        k = w[:, r]
        m = (pic[:, :, r] * k[:, None]).sum((0, 2, 3)) / k.sum()
        d = np.sqrt(((pic[:, :, r] - m[None, :, None, None]) ** 2 * k[:, None]).sum((0, 2, 3)) / k.sum())
        e = np.sqrt(np.maximum((fine[:, :, r] * k[:, None]).sum((0, 2, 3)) / k.sum(), 0))
        out += [m, d, e]
    return np.concatenate(out)


def _count(p, fg):
    """The largest subject areas, how steadily each is there, how many blobs there are and how wide they spread."""
    hard = p.argmax(1)
    areas = np.stack([(hard == k).sum((1, 2)) for k in range(1, p.shape[1])], 1)               # [F, S]
    mean = areas.mean(0)
    top = np.argsort(-mean)[:4]
    steady = (areas[:, top] >= 3).mean(0)
    blobs = np.zeros(5)
    for m in fg:
        _, _, st, _ = cv2.connectedComponentsWithStats((m > 0.5).astype(np.uint8), connectivity=4)
        blobs[min(4, int((st[1:, 4] >= 4).sum()))] += 1 / len(fg)
    cols = (fg > 0.5).any(1).mean(0)
    return np.concatenate([np.sqrt(mean[top]), steady, blobs, [np.sqrt((fg > 0.5).sum((1, 2)).mean()), cols.sum()], np.sqrt(fg.mean((0, 1)))])


class Judge:
    """Answers for a clip: subjects (as many as asked for), colour, motion, background, count."""

    def __init__(self, path=None, preset="core"):
        d = torch.load(path, weights_only=False) if path else None
        self.preset = d["preset"] if d else preset
        self.p = V.PRESETS[self.preset]
        self.net = Cells(len(self.p.subjects), len(self.p.colours)).eval()
        self.heads = {k: Linear() for k in ("motion", "place", "count")}
        if d:
            self.net.load_state_dict(d["net"])
            for k, h in self.heads.items():
                h.load(d["heads"][k])

    def save(self, path):
        torch.save(dict(preset=self.preset, net=self.net.state_dict(), heads={k: h.state() for k, h in self.heads.items()}), path)

    def __call__(self, video):
        m = look(self.net, video)
        order = np.argsort(-m["mass"])
        return dict(subjects=[self.p.subjects[i] for i in order[:3]], colour=self.p.colours[int(m["colour"].argmax())],
                    motion=self.p.motions[self.heads["motion"](m["motion"])], background=PLACES[self.heads["place"](m["place"])],
                    count=1 + self.heads["count"](m["count"]))


def score(answer, scene):
    """Which of the things that the scene asks for are there. Colour only where the subject comes in colours; motion and
    colour only with one subject, because the judge does not follow two."""
    want = [k for k, _ in scene["subjects"]]
    n = len(want)
    out = dict(subject=set(answer["subjects"][:n]) == set(want), background=answer["background"] == place_name(scene), count=answer["count"] == n)
    if n == 1:
        out["motion"] = answer["motion"] == scene["motions"][0]
        if scene["subjects"][0][1]:
            out["colour"] = answer["colour"] == scene["subjects"][0][1]
    return out


def tally(scores):
    keys = ("background", "subject", "motion", "colour", "count")
    got = {k: [s[k] for s in scores if k in s] for k in keys}
    return {k: round(float(np.mean(v)), 3) for k, v in got.items() if v}
