"""Backgrounds: eight still scenes, each drawn from a handful of random numbers at any size."""
import numpy as np
from vocab import WALLS


def _lerp(a, b, t):
    return np.asarray(a, np.float32) * (1 - t) + np.asarray(b, np.float32) * t


def background(kind, rng, w, h, wall=None):
    """float32 [h, w, 3] in 0..1"""
    yy, xx = np.mgrid[0:h, 0:w].astype(np.float32)
    y, x = (yy + 0.5) / h, (xx + 0.5) / w
    t, j = y[..., None], rng.uniform(-10, 10)

    def over(img, base, amp, top, bottom):
        """A band of rolling ground from `base` down, with a soft edge of about one pixel."""
        ph, f = rng.uniform(0, 6.28, 2), rng.uniform(2.5, 6.0, 2)
        line = base + amp * (np.sin(x * f[0] + ph[0]) * 0.6 + np.sin(x * f[1] * 1.7 + ph[1]) * 0.4)
        a = np.clip((y - line) * h + 0.5, 0, 1)[..., None]
        u = np.clip((y - line) / (1 - base + 1e-3), 0, 1)[..., None]
        return img * (1 - a) + _lerp(top, bottom, u) * a

    if kind == "sky":
        img = _lerp((80 + j, 160 + j, 240), (190 + j, 225, 250), t)
        for _ in range(rng.integers(1, 4)):
            cx, cy, r = rng.uniform(0, 1), rng.uniform(0.08, 0.85), rng.uniform(0.08, 0.14)
            d = sum(np.exp(-(((x - cx - k * r * 0.9) / r) ** 2 + ((y - cy) / (r * 0.55)) ** 2) * 1.2) for k in (-1, 0, 1))
            a = np.clip(d * 1.3, 0, 0.9)[..., None]
            img = img * (1 - a) + 250 * a
    elif kind == "night":
        img = _lerp((8, 10 + j * 0.3, 40 + j), (35, 35 + j * 0.5, 90 + j), t)
        # few, soft stars: one-pixel dots are noise to an 8x8 compressor and would cost the sprites their detail
        n, unit = int(rng.integers(12, 22)), min(w, h) / 128
        stars = zip(rng.uniform(0, w, n), rng.uniform(0, h, n), rng.uniform(0.4, 1, n), rng.uniform(1.0, 1.7, n) * max(unit, 0.8))
        for sx, sy, b, r in stars:
            k = int(3 * r) + 1
            x0, x1, y0, y1 = max(0, int(sx) - k), int(sx) + k + 1, max(0, int(sy) - k), int(sy) + k + 1
            d = np.exp(-((xx[y0:y1, x0:x1] + 0.5 - sx) ** 2 + (yy[y0:y1, x0:x1] + 0.5 - sy) ** 2) / (r * r))[..., None] * b
            img[y0:y1, x0:x1] = img[y0:y1, x0:x1] * (1 - d) + 245 * d
    elif kind == "meadow":
        img = _lerp((120 + j, 190 + j, 245), (215, 235, 250), t / 0.6)
        for b, c0, c1 in ((0.52, (120, 190, 90), (90, 160, 70)), (0.66, (95, 180 + j, 60), (50, 130 + j, 40))):
            img = over(img, b + rng.uniform(-0.04, 0.04), 0.03, c0, c1)
    elif kind == "desert":
        img = _lerp((150 + j, 205, 235), (250, 235, 200), t / 0.6)
        for b, c0, c1 in ((0.55, (235, 195, 125), (220, 175, 105)), (0.70, (240, 205, 135 + j), (205, 155, 90 + j))):
            img = over(img, b + rng.uniform(-0.04, 0.04), 0.045, c0, c1)
    elif kind == "sea":
        img = _lerp((40, 150 + j, 190 + j), (5, 40 + j, 90 + j), t)
        ph = rng.uniform(0, 6.28)
        ray = np.clip(np.sin(x * 9 + y * 4 + ph) * 0.5 + np.sin(x * 17 - y * 3 + ph * 2) * 0.3, 0, 1) * (1 - y)
        img = over(img + (ray * 28)[..., None], 0.88 + rng.uniform(-0.03, 0.03), 0.025, (120, 130, 100), (80, 95, 80))
    elif kind == "snow":
        img = _lerp((165 + j, 190 + j, 220), (225, 232, 240), t / 0.6)
        for b, c0, c1 in ((0.50, (215, 225, 240), (190, 205, 228)), (0.66, (250, 252, 255), (212, 224, 242))):
            img = over(img, b + rng.uniform(-0.04, 0.04), 0.045, c0, c1)
    elif kind == "sunset":
        glow = (235, 105 + j, 90)
        img = np.where(t < 0.5, _lerp((90 + j, 50, 120), glow, np.minimum(t / 0.5, 1)),
                       _lerp(glow, (255, 200, 90), np.clip((t - 0.5) / 0.25, 0, 1)))
        img = over(img, 0.76 + rng.uniform(-0.03, 0.03), 0.03, (75, 40, 60), (35, 20, 40))
    else:
        g = 1.06 - 0.16 * y - 0.10 * np.abs(x - rng.uniform(0.3, 0.7))
        img = (np.asarray(WALLS[wall], np.float32) + j) * g[..., None]
    return np.clip(img, 0, 255).astype(np.float32) / 255.0
