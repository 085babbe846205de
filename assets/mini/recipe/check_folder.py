"""A pipeline folder loads in diffusers, draws, and keeps the size limits. Used by the smoke run and on the shipped model."""
import os
import sys
import numpy as np
import torch
from samples import load, run

folder, limit = sys.argv[1], 36 * 2**20
torch.set_num_threads(1)
sizes = {os.path.join(r, f): os.path.getsize(os.path.join(r, f)) for r, _, fs in os.walk(folder) for f in fs}
weights = sum(n for f, n in sizes.items() if f.endswith(".safetensors"))
assert max(sizes.values()) <= 16 * 2**20, "a file is over 16 MiB"
assert weights <= limit, "weights are over 36 MiB"
v = run(load(folder), ["a cat moves left in the snow"], steps=2, w=64, h=64, f=17)
assert v.shape == (1, 17, 64, 64, 3) and np.isfinite(v.astype(float)).all()
print(f"{folder}: loads and draws, weights {weights / 2**20:.1f} MiB, largest file {max(sizes.values()) / 2**20:.1f} MiB")
