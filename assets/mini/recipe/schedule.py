"""Where a run is in its schedule, counted in what it has seen, never in time.

A background job gets an unpredictable share of the machine and runs over several sessions. A rate that falls with the clock
would then fall before the work is done, so the rate is a function of seen / target only; --minutes merely stops the process.
`train_state.json` is the few numbers that let a run go on from exported weights when its checkpoint is gone.
"""
import json
import math
import os
import signal
import time

STATE_FILE = "train_state.json"


class Budget:
    def __init__(self, target, minutes, warm=60, hold=0.0, floor=0.03):
        self.target, self.stop = target, time.time() + minutes * 60
        self.warm, self.hold, self.floor = warm, hold, floor
        signal.signal(signal.SIGTERM, self._finish)                 # asked to end: stop after this step, with a checkpoint

    def _finish(self, *_):
        self.stop = 0.0

    def done(self, seen):
        return seen >= self.target or time.time() > self.stop

    def rate(self, seen, steps_since_start):
        """Factor on the learning rate: warm-up by steps, `hold` of the budget at full rate, cosine to `floor`."""
        u = min(1.0, seen / self.target)
        c = max(0.0, (u - self.hold) / (1 - self.hold))
        cos = self.floor + (1 - self.floor) * 0.5 * (1 + math.cos(math.pi * c))
        return min(1.0, (steps_since_start + 1) / self.warm) * cos


def read_state(folder, part):
    """The numbers of one part ("vae", "dit") in a folder's train_state.json, or an empty dict."""
    f = os.path.join(folder, STATE_FILE)
    return json.load(open(f)).get(part, {}) if os.path.exists(f) else {}


def write_state(folder, part, **numbers):
    f = os.path.join(folder, STATE_FILE)
    d = json.load(open(f)) if os.path.exists(f) else {}
    d[part] = numbers
    json.dump(d, open(f + ".tmp", "w"), indent=1)
    os.replace(f + ".tmp", f)
