"""Sprites: Noto Emoji glyphs and three plain shapes as premultiplied RGBA masters, and drawing one into a frame."""
import os
import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont
from vocab import COLOURS, SUBJECTS

cv2.setNumThreads(0)
FONT = os.environ.get("ZOE_EMOJI_FONT", "/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf")
FONT_SIZE = 109                 # the only bitmap size in the font
BASE = 128
LEVELS = (128, 96, 64, 48, 32, 24)


def _shape(name, colour):
    """A flat shape with a darker rim, drawn four times too large."""
    s, c = 4 * BASE, COLOURS[colour]
    dark, m, rim = tuple(int(v * 0.65) for v in c), s // 12, 24
    im = Image.new("RGBA", (s, s), (0, 0, 0, 0))
    d = ImageDraw.Draw(im)
    if name == "ball":
        d.ellipse((m, m, s - m, s - m), fill=dark)
        d.ellipse((m + rim, m + rim, s - m - rim, s - m - rim), fill=c)
        light = tuple(int(v + (255 - v) * 0.55) for v in c)
        d.ellipse((s * 0.28, s * 0.22, s * 0.46, s * 0.38), fill=light)
    elif name == "square":
        k = m * 1.3
        d.rectangle((k, k, s - k, s - k), fill=dark)
        d.rectangle((k + rim, k + rim, s - k - rim, s - k - rim), fill=c)
    else:
        b = s - m * 1.4
        d.polygon([(s / 2, m), (s - m, b), (m, b)], fill=dark)
        d.polygon([(s / 2, m + 54), (s - m - 44, b - rim), (m + 44, b - rim)], fill=c)
    return im.resize((BASE, BASE), Image.BOX)


def _glyph(glyph, font):
    im = Image.new("RGBA", (160, 160), (0, 0, 0, 0))
    ImageDraw.Draw(im).text((80, 80), glyph, font=font, embedded_color=True, anchor="mm")
    im = im.crop(im.getbbox())
    k = max(im.size)
    square = Image.new("RGBA", (k, k), (0, 0, 0, 0))
    square.paste(im, ((k - im.size[0]) // 2, (k - im.size[1]) // 2))
    return square.resize((BASE, BASE), Image.LANCZOS)


def _recolour(rgb, alpha, colour):
    """Keep the shading, replace the hue: brightness relative to the glyph's own main tone scales the new colour."""
    lum = (rgb * np.array([0.35, 0.5, 0.15], np.float32)).sum(-1, keepdims=True)
    main = np.percentile(lum[alpha[..., 0] > 0.5], 70)
    c = np.asarray(COLOURS[colour], np.float32) / 255.0
    r = lum / max(main, 1e-3)
    return np.where(r <= 1, c * np.clip(r, 0.45, 1), c + (1 - c) * np.clip((r - 1) / 1.2, 0, 0.8))


class Sprites:
    def __init__(self, font=FONT):
        self.font = ImageFont.truetype(font, FONT_SIZE)
        self._cache = {}

    def get(self, name, colour, size):
        """The smallest stored level not smaller than `size`: minifying a larger one would alias."""
        key = (name, colour)
        if key not in self._cache:
            s = SUBJECTS[name]
            im = _shape(name, colour) if s.glyph is None else _glyph(s.glyph, self.font)
            a = np.asarray(im, np.float32) / 255.0
            rgb, alpha = a[..., :3], a[..., 3:]
            if s.glyph is not None and colour is not None:
                rgb = _recolour(rgb, alpha, colour)
            m = np.concatenate([rgb * alpha, alpha], -1).astype(np.float32)
            self._cache[key] = {n: m if n == BASE else cv2.resize(m, (n, n), interpolation=cv2.INTER_AREA) for n in LEVELS}
        fit = [n for n in LEVELS if n >= size * 0.95]
        return self._cache[key][fit[-1] if fit else BASE]


def blit(img, spr, cx, cy, size, angle=0.0, flip=False):
    """Draw a premultiplied sprite centred at (cx, cy), in place, with sub-pixel placement. Returns where and its alpha."""
    h, w = img.shape[:2]
    n = spr.shape[0]
    r = int(np.ceil(size * (0.5 if angle == 0 else 0.7072))) + 2
    x0, x1 = max(0, int(cx) - r), min(w, int(cx) + r + 2)
    y0, y1 = max(0, int(cy) - r), min(h, int(cy) + r + 2)
    if x1 <= x0 or y1 <= y0:
        return None
    c, s = np.cos(angle) * size / n, np.sin(angle) * size / n
    fx = -1.0 if flip else 1.0
    m = np.array([[c * fx, -s, 0], [s * fx, c, 0]], np.float32)
    mid = (n - 1) / 2
    m[0, 2] = cx - 0.5 - x0 - (m[0, 0] + m[0, 1]) * mid
    m[1, 2] = cy - 0.5 - y0 - (m[1, 0] + m[1, 1]) * mid
    p = cv2.warpAffine(spr, m, (x1 - x0, y1 - y0), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
    roi = img[y0:y1, x0:x1]
    roi *= 1 - p[..., 3:]
    roi += p[..., :3]
    return (slice(y0, y1), slice(x0, x1)), p[..., 3]
