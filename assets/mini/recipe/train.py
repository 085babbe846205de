"""The whole chain, in order, each stage resumed where it stopped. Run the same command again until it prints "chain done".

    python3 train.py --work DIR               the real budget: about nine undisturbed hours on two cores, days in the background
    python3 train.py --work DIR --smoke       every stage at a tiny budget, minutes

VAE -> report -> pool A -> transformer 64x64x17 -> early sheet -> pool B -> transformer 128x128x33 -> decoder only -> export -> sheet -> judge.
The real chain lowers its own priority, and it ends its running stage (which saves first) when it is asked to end.
"""
import argparse
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from schedule import read_state

HERE = os.path.dirname(os.path.abspath(__file__))
FULL = dict(vae_mpx=1200, dec_mpx=300, a_seen=400_000, b_seen=130_000, a_pool=6000, a_cap=32768, b_pool=1500, b_cap=8192,
            a_batch=64, b_batch=16, captions=40000, judge_frames=128_000, judge_prompts=200, judge_two=60, sheet=40, vae_clips=100)
SMOKE = dict(vae_mpx=1.5, dec_mpx=2.5, a_seen=32, b_seen=8, a_pool=32, a_cap=64, b_pool=8, b_cap=16,
             a_batch=16, b_batch=4, captions=4000, judge_frames=2000, judge_prompts=2, judge_two=1, sheet=2, vae_clips=1)


def progress(folder, key):
    """How far a trainer is, from the small file beside its checkpoint (the checkpoint itself is large)."""
    return read_state(folder, "dit" if key == "seen" else "vae").get(key, 0)


class Chain:
    def __init__(self, a, b):
        self.a, self.b, self.w = a, b, a.work
        self.end, self.child, self.asked = time.time() + a.minutes * 60, None, False
        for s in (signal.SIGTERM, signal.SIGINT):
            signal.signal(s, self.finish)

    def finish(self, *_):
        self.asked = True
        if self.child:
            self.child.terminate()

    def left(self):
        return (self.end - time.time()) / 60

    def run(self, script, *args):
        if self.asked or self.left() <= 0:
            sys.exit("stopped: run the same command again to go on")
        args = [str(x) for x in args if x is not None]
        print(json.dumps(dict(stage=script, args=args, at=time.strftime("%H:%M:%S"))), flush=True)
        # the allocator settings must be there when the process starts
        self.child = subprocess.Popen(["sh", "-c", '. "$0/env.sh"; exec "$@"', HERE, sys.executable, os.path.join(HERE, script), *args])
        rc = self.child.wait()
        self.child = None
        if rc and not self.asked:
            sys.exit(f"{script} failed with {rc}")

    def path(self, *p):
        return os.path.join(self.w, *p)

    def once(self, name, script, *args):
        """A stage without a counter: done when its file is there."""
        f = self.path(name)
        while not os.path.exists(f):
            self.run(script, *args)
        return f

    def counted(self, folder, key, target, script, *args):
        """A trainer: done when it has seen its target."""
        while progress(self.path(folder), key) < target * 0.9999:
            self.run(script, "--out", self.path(folder), "--minutes", round(self.left(), 2), *args)

    def pool(self, name, size, frames, count, cap, *args):
        eager = "--eager" if self.a.smoke else None
        if not os.path.exists(self.path(name + ".filled")):
            self.run("pool.py", "--vae", self.path("vae/vae.pt"), "--out", self.path(name), "--width", size, "--height", size,
                     "--frames", frames, "--count", count, "--capacity", cap, "--minutes", min(5, self.left()), eager, *args)
            open(self.path(name + ".filled"), "w").close()
        return self.path(name)

    def start_from(self):
        """What --init-from has to offer: (folder for the VAE, folder for the transformer, the stage that it was in)."""
        f = self.a.init_from
        if not f:
            return None, None, None
        whole = os.path.isdir(os.path.join(f, "transformer"))
        if whole and not os.path.exists(self.path("tokenizer")):    # the weights know these token numbers
            shutil.copytree(os.path.join(f, "tokenizer"), self.path("tokenizer"))
        return f, (f if whole else None), (read_state(f, "dit").get("stage", "b") if whole else None)

    def export(self, name, dit, vae):
        p = self.path
        return self.once(name + "/model_index.json", "export.py", "--vae", p(vae, "vae.pt"), "--dit", p(dit, "dit.pt"), "--out", p(name),
                         "--stats", p("vae_report.json"), "--tokenizer", p("tokenizer"), "--state", p("vae"), p(dit))

    def go(self):
        b, a, p = self.b, self.a, self.path
        eager, log = ("--eager" if a.smoke else None), ("--log-every", 2 if a.smoke else 50)
        few = ("--steps", 2) if a.smoke else ()
        init, init_dit, stage = self.start_from()
        given = lambda f: ("--init-from", f) if f else ()
        self.once("tokenizer/spiece.model", "text.py", "--out", p("tokenizer"), "--captions", b["captions"])
        self.counted("vae", "mpx", b["vae_mpx"], "vae_train.py", "--target-mpx", b["vae_mpx"], *log, eager, *given(init),
                     *(("--image-part", 0.2) if a.smoke else ()))
        self.once("vae_report.json", "vae_eval.py", "--vae", p("vae/vae.pt"), "--report", p("vae_report.json"),
                  "--sheet", p("vae.png"), "--clips", b["vae_clips"])
        common = ("--vae", p("vae/vae.pt"), "--stats", p("vae_report.json"), "--tokenizer", p("tokenizer"), *log, eager)
        if stage != "b":
            # sprites of stage A have nearly the pixel size of stage B's: what is learned about a token then carries over
            pool = self.pool("poolA", 64, 17, b["a_pool"], b["a_cap"], "--size-px", 28, 44)
            self.counted("ditA", "seen", b["a_seen"], "dit_train.py", "--pool", pool, "--stage", "a", "--target", b["a_seen"],
                         "--batch", b["a_batch"], *common, None if a.smoke else "--compile", *given(init_dit))
            # an early look, above all at motion: if it is not there, cut the world again before paying for stage B
            self.export("modelA", "ditA", "vae")
            self.once("samplesA.png", "samples.py", "--model", p("modelA"), "--out", p("samplesA.png"), "--count", min(16, b["sheet"]),
                      "--width", 64, "--height", 64, "--frames", 17, *few)
            init_dit = p("ditA/dit.pt")
        pool = self.pool("poolB", 128, 33, b["b_pool"], b["b_cap"], "--seed", 30_000_000)
        self.counted("ditB", "seen", b["b_seen"], "dit_train.py", "--pool", pool, "--stage", "b", "--target", b["b_seen"],
                     "--batch", b["b_batch"], *common, *given(init_dit), "--lr", 2e-3, "--adam-lr", 1e-3, "--shift", 2.0)
        self.counted("vae_dec", "mpx", b["dec_mpx"], "vae_train.py", "--target-mpx", b["dec_mpx"], *log, eager,
                     "--decoder-only", "--init-from", p("vae/vae.pt"))
        self.export("model", "ditB", "vae_dec")
        self.once("samples.png", "samples.py", "--model", p("model"), "--out", p("samples.png"), "--count", b["sheet"], *few)
        self.once("judge.pt", "judge_train.py", "--out", p("judge.pt"), "--frames", b["judge_frames"])
        self.once("judge.json", "judge.py", "--judge", p("judge.pt"), "--model", p("model"), "--out", p("judge.json"),
                  "--one", b["judge_prompts"], "--two", b["judge_two"], *few, *(("--trials", 40, "--no-assert") if a.smoke else ()))
        print("chain done")


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--work", required=True, help="checkpoints, pools and results; keep it between runs")
    ap.add_argument("--minutes", type=float, default=1e6, help="stop after this long, with everything saved")
    ap.add_argument("--smoke", action="store_true")
    ap.add_argument("--init-from", default=None, help="a pipeline folder to start the VAE and the transformer from")
    for k, v in FULL.items():
        ap.add_argument("--" + k.replace("_", "-"), type=type(v), default=None, help=f"default {v}, smoke {SMOKE[k]}")
    a = ap.parse_args()
    if not a.smoke:                                                 # the smoke run is waited for, like a build
        os.nice(max(0, 19 - os.nice(0)))
    os.makedirs(a.work, exist_ok=True)
    lock = open(os.path.join(a.work, "lock"), "w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        sys.exit("another chain is running in this folder")
    budget = SMOKE if a.smoke else FULL
    Chain(a, {k: (getattr(a, k) if getattr(a, k) is not None else v) for k, v in budget.items()}).go()


if __name__ == "__main__":
    main()
