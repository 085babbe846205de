"""Captions: synonyms, finite and -ing verbs, background first or last, one to three subjects, camera."""
import numpy as np
from vocab import BACKGROUNDS, CAMERAS, MOTIONS, SUBJECTS


def article(noun):
    return ("an " if noun[0] in "aeio" else "a ") + noun


def caption(rng, scene, use_motion=True, use_background=True):
    """`scene` has subjects [(name, colour)], motions, background, wall, camera."""
    pick = lambda seq: seq[rng.integers(len(seq))]
    nouns = []
    for name, colour in scene["subjects"]:
        names = SUBJECTS[name].names
        noun = names[0] if rng.random() < 0.65 else pick(names)
        nouns.append(article((colour + " " if colour else "") + noun))
    verbs = [pick(MOTIONS[m]) for m in scene["motions"]]
    n, form = len(nouns), rng.integers(3)
    if not use_motion:
        parts = nouns
    else:
        parts = [f"{a} {v[1 if form == 1 else 0]}" for a, v in zip(nouns, verbs)]
    if n == 1:
        core = parts[0]
    elif n == 2:
        core = f"{parts[0]} {'while' if form == 2 and use_motion else 'and'} {parts[1]}"
    else:
        core = f"{parts[0]}, {parts[1]} and {parts[2]}"
    if use_background:
        place = pick(BACKGROUNDS[scene["background"]]).replace("{c}", scene["wall"] or "")
        core = f"{core} {place}" if rng.random() < 0.65 else f"{place}, {core}"
    if scene.get("camera"):
        core = f"{core}, {pick(CAMERAS[scene['camera']])}"
    if rng.random() < 0.5:
        core = core[0].upper() + core[1:]
    return core + ("." if rng.random() < 0.3 else "")
