"""The captioned sprite world: a clip and its caption from one seed, the same on every machine.

    clip = World("core").sample(seed, width=128, height=128, frames=33)
    clip["video"] uint8 [F, H, W, 3], clip["caption"] str, clip["meta"] dict

Held out: one combination of subject, motion and background in ten (by hash) is never drawn in the `train` split and is the
whole of the `test` split, so that a prompt used for judging has not been seen with any synonym or colour.
"""
import argparse
import zlib
from typing import NamedTuple, Optional
import cv2
import numpy as np
from PIL import Image
import vocab as V
from captions import caption
from motion import camera, track
from scenery import background
from sprites import Sprites, blit

SIZES = {1: (0.36, 0.52), 2: (0.29, 0.37), 3: (0.22, 0.28)}         # sprite size as a part of the shorter side


class Actor(NamedTuple):
    """A subject in a clip; x, y (centre), size (all in pixels of the frame) and angle have one value a frame."""
    name: str
    colour: Optional[str]
    flip: bool
    x: np.ndarray
    y: np.ndarray
    size: np.ndarray
    angle: np.ndarray


class Script(NamedTuple):
    caption: str
    meta: dict
    still: np.ndarray           # float32 [h, w, 3] in 0..1
    actors: list
    zoom: np.ndarray            # of the camera, one a frame
    off: np.ndarray


def held_out(subject, motion, place):
    return zlib.crc32(f"{subject}|{motion}|{place}".encode()) % 10 == 0


class World:
    def __init__(self, preset="core", split="train", counts=None, camera=None, draw=True):
        self.p = V.PRESETS[preset]
        self.split = split
        self.counts = counts or self.p.counts
        self.p_camera = self.p.camera if camera is None else camera
        self.sprites = Sprites() if draw else None

    def scene(self, rng, **fixed):
        """What is in the clip. `fixed` may set count, subject, motion, background, colour, camera."""
        p, pick = self.p, lambda seq: seq[rng.integers(len(seq))]
        n = fixed.get("count") or 1 + int(rng.choice(3, p=self.counts))
        for _ in range(1000):
            names = [p.subjects[i] for i in rng.choice(len(p.subjects), n, replace=False)]
            if fixed.get("subject"):
                names = ([fixed["subject"]] + [k for k in names if k != fixed["subject"]])[:n]
            motions = [pick(p.motions) for _ in names]
            if fixed.get("motion"):
                motions[0] = fixed["motion"]
            place = fixed.get("background") or pick(p.backgrounds)
            out = any(held_out(k, m, place) for k, m in zip(names, motions))
            if out == (self.split == "test") or self.split == "any":
                break
        colours = [pick(p.colours) if V.SUBJECTS[k].tinted else None for k in names]
        if fixed.get("colour") and colours[0]:
            colours[0] = fixed["colour"]
        wall = pick(tuple(V.WALLS)) if place == "wall" else None
        move = fixed.get("camera") or (pick(tuple(V.CAMERAS)) if rng.random() < self.p_camera else None)
        return dict(subjects=list(zip(names, colours)), motions=motions, background=place, wall=wall, camera=move)

    def text(self, seed, **fixed):
        """Scene and caption without drawing. The same seed gives the same ones as sample()."""
        rng = np.random.default_rng(seed)
        scene = self.scene(rng, **fixed)
        full = fixed.get("full", False)
        use_motion, use_place = full or rng.random() > 0.05, full or rng.random() > 0.08
        return rng, scene, caption(rng, scene, use_motion, use_place)

    def script(self, seed, width=128, height=128, frames=33, size_px=None, **fixed):
        """Everything that decides the pictures of a clip, none of them drawn yet but the still background: what drawing takes."""
        rng, scene, words = self.text(seed, **fixed)
        n = len(scene["subjects"])
        still = background(scene["background"], rng, width, height, scene["wall"])
        actors = []
        for (name, colour), move, slot in zip(scene["subjects"], scene["motions"], rng.permutation(n)):
            lo, hi = size_px or SIZES[n]
            size = rng.uniform(lo, hi) * (1 if size_px else min(width, height)) * (0.9 if move in ("grow", "shrink") else 1)
            x, y, s, a = track(move, rng, width, height, size, frames, int(slot), n)
            actors.append(Actor(name, colour, move == "right" and V.SUBJECTS[name].faces_left, x, y, size * s, a))
        zoom, off = camera(scene["camera"], rng, width, frames)
        cx, cy = width / 2, height / 2
        for i, p in enumerate(actors):
            actors[i] = p._replace(x=cx + (p.x - cx) * zoom + off, y=cy + (p.y - cy) * zoom, size=p.size * zoom)
        return Script(words, scene, still, actors, zoom, off)

    def sample(self, seed, width=128, height=128, frames=33, size_px=None, only=None, **fixed):
        """`only`: draw just these frames of the clip. "labels" says which subject a pixel shows (0: none, 1: the first ...)."""
        clip = self.script(seed, width, height, frames, size_px, **fixed)
        shown = range(frames) if only is None else only
        video = np.empty((len(shown), height, width, 3), np.uint8)
        labels = np.zeros(video.shape[:3], np.uint8)
        cx, cy = width / 2, height / 2
        for j, f in enumerate(shown):
            if clip.meta["camera"]:
                z, o = float(clip.zoom[f]), float(clip.off[f])
                m = np.array([[z, 0, cx - 0.5 - z * (cx - 0.5) + o], [0, z, cy - 0.5 - z * (cy - 0.5)]], np.float32)
                img = cv2.warpAffine(clip.still, m, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
            else:
                img = clip.still.copy()
            for i, p in enumerate(clip.actors):
                k = float(p.size[f])
                hit = blit(img, self.sprites.get(p.name, p.colour, k), p.x[f], p.y[f], k, float(p.angle[f]), p.flip)
                if hit:
                    labels[j][hit[0]][hit[1] > 0.5] = i + 1
            video[j] = np.clip(img * 255 + 0.5, 0, 255)
        return dict(video=video, labels=labels, caption=clip.caption, meta=clip.meta)


def caption_corpus(n, preset="core", seed=10_000_000):
    """Captions only: the tokenizer's training text."""
    w = World(preset, split="any", draw=False)
    for i in range(n):
        yield w.text(seed + i)[2]


def contact(rows, path, scale=1.0):
    """A sheet: each row a list of frames of one size."""
    im = Image.fromarray(np.concatenate([np.concatenate(list(r), 1) for r in rows], 0))
    if scale != 1:
        im = im.resize((int(im.width * scale), int(im.height * scale)), Image.LANCZOS)
    im.save(path)


if __name__ == "__main__":
    ap = argparse.ArgumentParser(description="A sheet of clips and one of sprites")
    ap.add_argument("--out", default="world.png")
    ap.add_argument("--preset", default="core")
    ap.add_argument("--count", type=int, default=14)
    a = ap.parse_args()
    w = World(a.preset)
    clips = [w.sample(i) for i in range(a.count)]
    for c in clips:
        print(c["caption"])
    contact([c["video"][::8] for c in clips], a.out, 0.75)
    tiles = []
    for i, k in enumerate(w.p.subjects):
        im = np.full((64, 64, 3), 0.6, np.float32)
        blit(im, w.sprites.get(k, w.p.colours[i % len(w.p.colours)] if V.SUBJECTS[k].tinted else None, 56), 32, 32, 56)
        tiles.append((im * 255).astype(np.uint8))
    tiles += [np.zeros((64, 64, 3), np.uint8)] * (-len(tiles) % 10)
    contact([tiles[i:i + 10] for i in range(0, len(tiles), 10)], a.out.replace(".png", "_sprites.png"))
