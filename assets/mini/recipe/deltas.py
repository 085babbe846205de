"""A delta of variants.py as the program reads it (variant.json and delta.safetensors beside each other), or merged into a folder
of its own, for what reads whole models only."""
import argparse
import glob
import json
import os
import shutil
from safetensors.torch import load_file, save_file
from parallel import load_checkpoint
from variants import RADIAL, RANK

# What variant.json says of each beside its delta: what a job takes where it does not say otherwise, and from which noise level on
# its steps stay the base's (8 of 20 at this one).
SAYS = {"mini-sla": dict(boundary_ratio=0.83, defaults=dict(attn="sla:keep=0.1,block_q=64,block_k=64")),
        "mini-radial": dict(defaults=dict(attn=RADIAL + ",dense_steps=5")),
        "mini-4step": dict(defaults=dict(sampler="euler", sigmas=[1, 0.9, 0.75, 0.5], steps=4, guidance=1))}


def write(delta, name, out):
    os.makedirs(out, exist_ok=True)
    save_file({k: v.contiguous() for k, v in delta.items()}, os.path.join(out, "delta.safetensors"))
    text = dict(format="zoetrope variant 1", name=name, base="../..", delta="delta.safetensors", rank=RANK, alpha=RANK, **SAYS[name])
    json.dump(text, open(os.path.join(out, "variant.json"), "w"), indent=1)
    return os.path.getsize(os.path.join(out, "delta.safetensors"))


def merge(delta, base, out):
    """W + B A in float32, rounded once; whole tensors (proj_l) beside the others."""
    shutil.copytree(base, out, dirs_exist_ok=True, ignore=shutil.ignore_patterns("recipe", "variants", "*.png"))
    names = [k[:-len(".lora_A.weight")] for k in delta if k.endswith(".lora_A.weight")]
    add = {n.removeprefix("transformer.") + ".weight": delta[n + ".lora_B.weight"].float() @ delta[n + ".lora_A.weight"].float() for n in names}
    files = sorted(glob.glob(os.path.join(out, "transformer", "*.safetensors")))
    whole, index = {k.removeprefix("transformer."): v for k, v in delta.items() if ".lora_" not in k}, os.path.join(out, "transformer", "diffusion_pytorch_model.safetensors.index.json")
    for i, f in enumerate(files):
        w = load_file(f)
        for k in set(w) & set(add):
            w[k] = (w[k].float() + add.pop(k)).to(w[k].dtype)
        if i == len(files) - 1:
            w.update(whole)
        save_file(w, f, {"format": "pt"})
    assert not add, sorted(add)
    if os.path.exists(index):
        d = json.load(open(index))
        d["weight_map"].update({k: os.path.basename(files[-1]) for k in whole})
        json.dump(d, open(index, "w"), indent=1)


def main():
    ap = argparse.ArgumentParser(description=__doc__)
    ap.add_argument("--delta", required=True, help="sla.pt, radial.pt or few.pt of card_train.py")
    ap.add_argument("--name", required=True, choices=list(SAYS))
    ap.add_argument("--out", required=True)
    ap.add_argument("--merge", default=None, metavar="BASE", help="write a whole model, this folder's with the delta in it, instead of a variant")
    a = ap.parse_args()
    delta = load_checkpoint(a.delta)
    if a.merge:
        merge(delta, a.merge, a.out)
    else:
        print(json.dumps({a.name: round(write(delta, a.name, a.out) / 2**20, 2)}))


if __name__ == "__main__":
    main()
