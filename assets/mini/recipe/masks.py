"""The radial plan's block masks for the shapes that its variant is trained at, as the program itself makes them."""
import argparse
import os
import subprocess
import tempfile
import numpy as np
import torch
from variants import RADIAL, SHAPES


def main():
    ap = argparse.ArgumentParser(description=__doc__)
    ap.add_argument("--zoetrope", required=True, help="the program")
    ap.add_argument("--out", required=True)
    a = ap.parse_args()
    masks = {}
    with tempfile.TemporaryDirectory() as d:
        for w, h, f, *_ in SHAPES:
            grid = ((f - 1) // 4 + 1, h // 16, w // 16)
            at = os.path.join(d, "mask.npy")
            subprocess.run([a.zoetrope, "plan", "--attn", RADIAL, "--grid", "x".join(map(str, grid)), "--mask", at], check=True, stdout=subprocess.DEVNULL)
            masks[grid] = torch.from_numpy(np.load(at)[0].astype(bool))
    torch.save(masks, a.out)


if __name__ == "__main__":
    main()
