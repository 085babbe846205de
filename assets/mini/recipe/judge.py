"""Stage 7: judge clips against held-out prompts: background, subject, motion, colour, count; two subjects: both right.

Clips come from a pipeline folder through diffusers (--model), or from any other program (--clips): write the prompts with
--write-prompts, make one clip a line with seed --seed + line, and put them in a folder as 0000.mp4 (or .y4m .avi .webm .gif) or
as folders 0000/ of PNG frames. Before anything else the judge itself is judged on rendered clips (judge_test.py).
"""
import argparse
import glob
import json
import os
import cv2
import numpy as np
import torch
from judge_net import Judge, score, tally
from judge_test import trial
from samples import clip_arguments, clips, judge_prompts, load


def read_clip(folder, i):
    """uint8 [F,H,W,3] of clip number i"""
    d = os.path.join(folder, f"{i:04d}")
    if os.path.isdir(d):
        fs = [cv2.imread(f) for f in sorted(glob.glob(os.path.join(d, "*.png")))]
    else:
        cap, fs = cv2.VideoCapture(glob.glob(d + ".*")[0]), []
        while True:
            ok, f = cap.read()
            if not ok:
                break
            fs.append(f)
    return np.stack([f[..., ::-1] for f in fs])


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--judge", required=True)
    ap.add_argument("--model", default=None)
    ap.add_argument("--clips", default=None)
    ap.add_argument("--write-prompts", default=None, help="write the prompts, one a line, and stop")
    ap.add_argument("--out", default=None, help="JSON with the table and every answer")
    ap.add_argument("--one", type=int, default=200, help="prompts with one subject")
    ap.add_argument("--two", type=int, default=60, help="prompts with two")
    ap.add_argument("--device", default="cpu", help="of --model")
    ap.add_argument("--trials", type=int, default=400, help="rendered clips for the judge's own test")
    ap.add_argument("--no-assert", action="store_true", help="report, but do not insist on, the judge's own figures")
    clip_arguments(ap)
    a = ap.parse_args()
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    todo = judge_prompts(a.one, a.two)
    if a.write_prompts:
        open(a.write_prompts, "w").writelines(c + "\n" for c, _ in todo)
        return
    j = Judge(a.judge)
    res = dict(judge=trial(j, a.trials, strict=not a.no_assert), settings=dict(cfg=a.cfg, steps=a.steps, size=[a.width, a.height, a.frames]))
    print(json.dumps(res), flush=True)
    answers = []
    if a.model:
        answers = [j(v) for v in clips(load(a.model, a.device), [c for c, _ in todo], a)]
    elif a.clips:
        answers = [j(read_clip(a.clips, i)) for i in range(len(todo))]
    scores = [score(g, s) for g, (_, s) in zip(answers, todo)]
    if scores:
        res.update(one=tally(scores[:a.one]), two=tally(scores[a.one:]), prompts=[a.one, a.two])
        print(json.dumps({k: res[k] for k in ("one", "two", "prompts")}))
        res["answers"] = [dict(prompt=c, got=g, right=s) for (c, _), g, s in zip(todo, answers, scores)]
    if a.out:
        json.dump(res, open(a.out, "w"), indent=1)


if __name__ == "__main__":
    main()
