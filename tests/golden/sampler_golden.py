"""Writes sampler_golden.json: schedules and trajectories of the public schedulers (diffusers), float32 on CPU.

    python tests/golden/sampler_golden.py

Schedules are stored as FNV-1a hashes of their float32 bits, one a step count from 1 to MAX_STEPS, because they must agree
to the bit. Trajectories use a velocity that both sides compute alike: v = 1.3 x / (1 + x^2) + 0.25 (j + 1) - 0.8 s, in double,
rounded to float32; LCM's noise is noise[j] = 0.1 j - 0.3 + 0.05 i instead of a generator's numbers.
"""

import json
import os
from unittest import mock

import numpy as np
import torch
from diffusers import (
    DPMSolverMultistepScheduler,
    FlowMatchEulerDiscreteScheduler,
    FlowMatchLCMScheduler,
    UniPCMultistepScheduler,
)
from diffusers.schedulers import scheduling_flow_match_lcm

MAX_STEPS = 50
SHIFTS = [1.0, 3.0, 5.0, 8.0]
ELEMENTS = 4


def make(kind, shift):
    flow = dict(prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=shift)
    if kind == "unipc":
        return UniPCMultistepScheduler(**flow)
    if kind == "dpm++":
        return DPMSolverMultistepScheduler(**flow)
    return (FlowMatchEulerDiscreteScheduler if kind == "euler" else FlowMatchLCMScheduler)(shift=shift)


def fnv(values):
    h = 0xCBF29CE484222325
    for word in np.asarray(values, dtype=np.float32).view(np.uint32).tolist():
        h = ((h ^ word) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return f"{h:016x}"


def velocity(x, sigma):
    x = x.numpy().astype(np.float64).reshape(-1)
    v = 1.3 * x / (1 + x * x) + 0.25 * (np.arange(x.size) + 1) - 0.8 * float(sigma)
    return torch.from_numpy(v.astype(np.float32))


def trajectory(kind, shift, steps):
    s = make(kind, shift)
    s.set_timesteps(steps)
    s.set_begin_index(0)
    x = torch.tensor([0.9, -1.7, 0.2, 2.1]).reshape(1, 1, 1, 2, 2)
    out = []
    for i, t in enumerate(s.timesteps):
        noise = (0.1 * np.arange(ELEMENTS) - 0.3 + 0.05 * i).astype(np.float32)
        with mock.patch.object(scheduling_flow_match_lcm, "randn_tensor", lambda *a, n=noise, **k: torch.from_numpy(n).reshape(x.shape)):
            x = s.step(velocity(x, s.sigmas[i]).reshape(x.shape), t, x, return_dict=False)[0]
        out.append(x.flatten().tolist())
    return out


def main():
    golden = {"max_steps": MAX_STEPS, "schedules": [], "trajectories": []}
    for kind in ("unipc", "euler", "dpm++", "lcm"):
        for shift in SHIFTS:
            hashes = []
            for steps in range(1, MAX_STEPS + 1):
                s = make(kind, shift)
                s.set_timesteps(steps)
                hashes.append(fnv(s.sigmas.tolist() + s.timesteps.tolist()))
            golden["schedules"].append({"kind": kind, "shift": shift, "hashes": hashes})
            for steps in (1, 2, 3, 4, 14, 15, 20, 50):
                xs = trajectory(kind, shift, steps)
                keep = range(steps) if shift == 3.0 and steps < 15 else [steps // 2, steps - 1]
                golden["trajectories"].append({"kind": kind, "shift": shift, "steps": steps,
                                               "after": [{"step": i, "x": [float(f"{v:.9g}") for v in xs[i]]} for i in sorted(set(keep))]})
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "sampler_golden.json")
    with open(path, "w") as f:
        f.write("{\n" + ",\n".join(f'"{k}": ' + (("[\n" + ",\n".join(json.dumps(e) for e in v) + "\n]") if isinstance(v, list) else json.dumps(v))
                                   for k, v in golden.items()) + "\n}\n")


main()
