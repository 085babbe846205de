"""Where things are in every frame: subject tracks and camera tracks.

Slow and large: a sprite crosses most of the picture in two seconds and never moves more than about 3 % of it in a frame,
so that direction shows even in the 17-frame clips of the first training stage. Longer clips do not move further, they
move more slowly.
"""
import numpy as np

FPS = 16


def _between(rng, lo, hi):
    return rng.uniform(lo, hi) if hi > lo else (lo + hi) / 2


def track(motion, rng, w, h, size, frames, slot=0, slots=1):
    """Arrays x, y, scale, angle. With several subjects each keeps to its own column of the picture."""
    side, dur = min(w, h), frames / FPS
    tau = np.arange(frames) / FPS
    u = np.arange(frames) / max(frames - 1, 1) - 0.5                # -1/2 .. 1/2
    m = size * 0.55
    left, right = w * slot / slots, w * (slot + 1) / slots
    lo, hi = (left + m, right - m) if slots == 1 else (left + m * 0.9, right - m * 0.9)
    if hi < lo:
        lo = hi = (lo + hi) / 2
    cx = _between(rng, lo + (hi - lo) * 0.15, hi - (hi - lo) * 0.15)
    cy = _between(rng, m + (h - 2 * m) * 0.15, h - m - (h - 2 * m) * 0.15)
    v = rng.uniform(0.26, 0.36) * side
    one = np.ones(frames)
    x, y, s, a = cx * one, cy * one, one.copy(), 0 * one
    if motion in ("left", "right"):
        d = min(v * dur, max(hi - lo, 0.35 * size) * 1.1)
        c = _between(rng, lo + d / 2, hi - d / 2)
        x = c + u * d * (1 if motion == "right" else -1)
    elif motion in ("up", "down"):
        d = min(v * dur, (h - 2 * m) * 1.1 + 1)
        c = _between(rng, m + d / 2, h - m - d / 2)
        y = c + u * d * (1 if motion == "down" else -1)
    elif motion == "bounce":
        floor = h - m - rng.uniform(0, 0.10) * h
        y = floor - rng.uniform(0.22, 0.32) * h * np.abs(np.sin(np.pi * (tau * rng.uniform(0.8, 1.0) + rng.uniform(0, 1))))
    elif motion in ("grow", "shrink"):
        ramp = min(rng.uniform(0.45, 0.6) * dur, 1.05)
        s = np.exp(u * ramp * (1 if motion == "grow" else -1))
    elif motion == "spin":
        a = (rng.uniform(0, 6.28) if rng.random() < 0.3 else 0) + 2 * np.pi * rng.uniform(0.35, 0.5) * tau * rng.choice([1, -1])
    elif motion == "circle":
        r = min(rng.uniform(0.15, 0.23) * side, max(0.5 * (right - left) - m, 0.08 * side))
        ph, om = rng.uniform(0, 6.28), 2 * np.pi * rng.uniform(0.4, 0.5) * rng.choice([1, -1])
        x = np.clip(cx, lo + r, max(hi - r, lo + r)) + r * np.cos(om * tau + ph)
        y = (np.clip(cy, m + r, h - m - r) if h > 2 * (m + r) else h / 2) + r * np.sin(om * tau + ph)
    return x, y, s, a


def camera(move, rng, w, frames):
    """Arrays zoom and x offset in pixels; the scene point p shows at centre + (p - centre) * zoom + offset."""
    u = np.arange(frames) / max(frames - 1, 1) - 0.5
    zoom, off = np.ones(frames), np.zeros(frames)
    if move in ("pan left", "pan right"):
        off = u * rng.uniform(0.16, 0.24) * w * (1 if move == "pan left" else -1)
        zoom *= 1.25                                                # keeps the frame inside the drawn scene
    elif move in ("zoom in", "zoom out"):
        zoom = 1.15 + u * 0.3 * (1 if move == "zoom in" else -1)
    return zoom, off
