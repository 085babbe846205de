"""Stage 5: write the diffusers WanPipeline folder: EMA weights in bf16, no file over 16 MiB, and train_state.json."""
import argparse
import json
import os
import shutil
import torch
import dit_fast as D
import text as T
import vae_fast as V
from parallel import load_checkpoint
from pool import load_vae
from schedule import STATE_FILE

SHARD = "15MB"
PARTS = ("scheduler", "text_encoder", "tokenizer", "transformer", "vae")


def export_vae(path, stats, folder=None):
    """The class with measured latent statistics; saved alone when a folder is given."""
    v = load_vae(path)
    blocks, base = v.config.num_res_blocks, v.config.base_dim
    vae = V.build(base, blocks, stats["mean"], stats["std"])
    vae.load_state_dict({k: w.contiguous() for k, w in v.state_dict().items()})
    for p in vae.parameters():
        p.data = p.data.bfloat16()
    if folder:
        vae.save_pretrained(os.path.join(folder, "vae"), max_shard_size=SHARD)
    return vae


def load_dit(path, tok):
    d = load_checkpoint(path)
    c = d["cfg"]
    net = torch.nn.ModuleDict(dict(dit=D.build(c["dim"], c["layers"], c["ffn"]), te=T.build(tok.size)))
    miss = net.load_state_dict(d["ema"], strict=False)
    assert not miss.unexpected_keys and all("embed_tokens" in k for k in miss.missing_keys), miss
    return net["dit"].to(torch.bfloat16), net["te"].bfloat16()


def merge_states(folders, out):
    """One train_state.json from the stages' own: the place in the schedule for --init-from."""
    d = {}
    for f in folders:
        f = os.path.join(f, STATE_FILE)
        if os.path.exists(f):
            d.update(json.load(open(f)))
    json.dump(d, open(os.path.join(out, STATE_FILE), "w"), indent=1)


def main():
    ap = argparse.ArgumentParser(description=__doc__)
    ap.add_argument("--vae", required=True)
    ap.add_argument("--stats", default=None, help="report of vae_eval: the latents' mean and deviation; default: what the VAE's checkpoint says, as that of card_train does")
    ap.add_argument("--dit", default=None, help="without it only vae/ is written")
    ap.add_argument("--tokenizer", default=None)
    ap.add_argument("--out", required=True)
    ap.add_argument("--state", nargs="*", default=[], help="folders whose train_state.json are merged")
    ap.add_argument("--shift", type=float, default=3.0)
    a = ap.parse_args()
    from diffusers import UniPCMultistepScheduler, WanPipeline
    from transformers import AutoTokenizer
    stats = json.load(open(a.stats)) if a.stats else {} if os.path.isdir(a.vae) else load_checkpoint(a.vae).get("report", {})
    stats = dict(mean=None, std=None) | stats
    if a.dit and not stats["mean"]:
        raise SystemExit("--stats: a folder that draws needs the latents' mean and deviation")
    for part in PARTS:                                              # nothing else in the folder is ours to remove
        shutil.rmtree(os.path.join(a.out, part), ignore_errors=True)
    os.makedirs(a.out, exist_ok=True)
    if not a.dit:
        export_vae(a.vae, stats, a.out)
    else:
        dit, te = load_dit(a.dit, T.Tokenizer(a.tokenizer))
        sch = UniPCMultistepScheduler(prediction_type="flow_prediction", use_flow_sigmas=True, num_train_timesteps=1000, flow_shift=a.shift)
        pipe = WanPipeline(tokenizer=AutoTokenizer.from_pretrained(a.tokenizer), text_encoder=te, vae=export_vae(a.vae, stats),
                           scheduler=sch, transformer=dit)
        pipe.save_pretrained(a.out, safe_serialization=True, max_shard_size=SHARD)
        shutil.copy(os.path.join(a.tokenizer, "spiece.model"), os.path.join(a.out, "tokenizer", "spiece.model"))
    merge_states(a.state, a.out)
    sizes = {os.path.relpath(os.path.join(r, f), a.out): os.path.getsize(os.path.join(r, f))
             for part in PARTS for r, _, fs in os.walk(os.path.join(a.out, part)) for f in fs}
    print(json.dumps(dict(MiB={k: round(n / 2**20, 2) for k, n in sizes.items() if n > 100_000}, total=round(sum(sizes.values()) / 2**20, 2))))
    assert max(sizes.values()) <= 16 * 2**20


if __name__ == "__main__":
    main()
