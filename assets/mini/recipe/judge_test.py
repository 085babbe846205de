"""The judge on trial: rendered clips it has not seen (at least 98 % right) and shuffled captions (chance)."""
import argparse
import json
import numpy as np
import torch
from judge_net import Judge, score, tally
from world import World

LEAST = 0.98


def trial(j, n=400, seed=60_000_000, strict=True):
    """n one-subject clips, and a third as many with two; the captions then go round by one clip."""
    out = {}
    for count, k, part in ((1, n, "one"), (2, max(2, n // 3), "two")):
        world = World(j.preset, "test")
        clips = [world.sample(seed + 7_000_000 * count + i, 128, 128, 33, count=count) for i in range(k)]
        answers, scenes = [j(c["video"]) for c in clips], [c["meta"] for c in clips]
        out[part] = tally([score(g, s) for g, s in zip(answers, scenes)])
        turned = scenes[1:] + scenes[:1]
        out[part + " shuffled"] = tally([score(g, s) for g, s in zip(answers, turned)])
        # what agreement by accident would give: pairs of different clips that happen to ask for the same
        pairs = [(a, b) for a in range(k) for b in np.random.default_rng(a).integers(0, k, 8) if a != b]
        out[part + " chance"] = tally([score(answers[a], scenes[b]) for a, b in pairs])
    if strict:
        for part in ("one", "two"):
            assert all(v >= LEAST for v in out[part].values()), out
            for key, v in out[part + " shuffled"].items():
                if key != "count":                                  # the count is the same for all clips of a part
                    c = out[part + " chance"][key]
                    assert abs(v - c) < 4 * (c * (1 - c) / 100) ** 0.5 + 0.02, (key, out)
    return out


def main():
    ap = argparse.ArgumentParser(description=__doc__)
    ap.add_argument("--judge", default="judge.pt")
    ap.add_argument("--trials", type=int, default=400)
    a = ap.parse_args()
    torch.set_num_threads(1)
    print(json.dumps(trial(Judge(a.judge), a.trials), indent=1))


if __name__ == "__main__":
    main()
