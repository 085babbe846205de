"""Tiny random-weight Wan pipelines in the diffusers layout, with what the public classes make of them in float32 on CPU.

    python tests/golden/pipeline_golden.py --out tests/golden/pipelines           # the committed cases
    python tests/golden/pipeline_golden.py --extra 30 --seed 7 --out DIR          # random ones, for ZT_PARITY_DIR=DIR

Each case is a model folder (parts shared between cases are links into parts/) with case.json (settings) and
expected.safetensors:
    init_latents [C, T, h, w]       noise the clip starts from
    prompt_embeds, negative_embeds  [n, d] real rows only; the second only with guidance
    velocity_t [1], velocity        of init_latents at that timestep, conditional branch
    latents [C, T, h, w]            final, normalised model latents
    frames [F, H, W, 3]             f16 in [0, 1]
    clip [F, H, W, 3]               u8 input of the encoder (v / 127.5 - 1), and encoded [C, T, h, w], normalised
"""

import argparse
import copy
import json
import math
import os
import shutil

import torch
from diffusers import (
    AutoencoderKLWan,
    DPMSolverMultistepScheduler,
    FlowMatchEulerDiscreteScheduler,
    UniPCMultistepScheduler,
    WanPipeline,
    WanTransformer3DModel,
)
from safetensors.torch import save_file
from transformers import AutoTokenizer, T5Config, T5EncoderModel, UMT5Config, UMT5EncoderModel

TOKENIZER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "pipelines", "parts", "tokenizer")  # small, and fixed: the embedded model's may change
MAX_TOKENS = 512
WORDS = ("a red ball rolls over green hills, two small birds at night; snow falls slowly on the old tower & sea <tag> "
         "100% Ünïcode 雪 the blue cube spins").split()

TEXTS = {
    "text_a": dict(d_model=32, d_kv=8, d_ff=37, num_layers=2, num_heads=4, buckets=32, distance=128, store="f32"),
    "text_b": dict(d_model=48, d_kv=10, d_ff=64, num_layers=3, num_heads=3, buckets=8, distance=20, store="bf16"),
}
VAES = {
    "vae_a": dict(base_dim=3, dim_mult=[1, 1, 1, 1], num_res_blocks=1, store="f32"),
    "vae_b": dict(base_dim=4, dim_mult=[1, 2, 4, 4], num_res_blocks=1, store="bf16"),
    "vae_c": dict(base_dim=8, dim_mult=[1, 1, 1, 1], num_res_blocks=2, store="bf16"),
}
CASES = [
    dict(name="heads2x12", heads=2, head_dim=12, layers=2, ffn=32, freq=256, text="text_a", vae="vae_a", width=32, height=48, frames=5,
         sampler="unipc", steps=3, guidance=5.0, flow_shift=3.0, prompt="A red ball rolls over green hills.", negative="", store="f32"),
    dict(name="heads3x10", heads=3, head_dim=10, layers=1, ffn=44, freq=64, text="text_b", vae="vae_a", width=64, height=16, frames=9,
         sampler="euler", steps=4, guidance=1.0, flow_shift=5.0, prompt="two  birds &amp;amp; a\ttower\n at night ", negative="", store="f32"),
    dict(name="heads4x6", heads=4, head_dim=6, layers=3, ffn=40, freq=128, text="text_a", vae="vae_b", width=16, height=64, frames=5,
         sampler="dpm++", steps=5, guidance=6.0, flow_shift=1.0, prompt="snow 雪 falls on the sea", negative="blurry, grey", store="f32"),
    dict(name="heads2x24", heads=2, head_dim=24, layers=2, ffn=96, freq=256, text="text_b", vae="vae_c", width=80, height=48, frames=5,
         sampler="unipc", steps=6, guidance=4.0, flow_shift=5.0, prompt="the blue cube spins", negative="a tower", store="bf16",
         cross_attn_norm=False),
    dict(name="heads2x64", heads=2, head_dim=64, layers=1, ffn=128, freq=32, text="text_a", vae="vae_a", width=48, height=32, frames=17,
         sampler="unipc", steps=2, guidance=1.0, flow_shift=3.0, prompt="", negative="", store="bf16"),
    dict(name="heads3x14", heads=3, head_dim=14, layers=2, ffn=50, freq=256, text="text_b", vae="vae_b", width=32, height=32, frames=9,
         sampler="dpm++", steps=2, guidance=3.5, flow_shift=3.0, prompt="a small bird " * 20, negative="", store="bf16"),
]


def generator(*key):
    return torch.Generator().manual_seed(hash_text(json.dumps(key)))


def seeded(*key):
    """The same, and the global generator, which the public classes draw from, seeded alike."""
    torch.manual_seed(hash_text(json.dumps(key)))
    return generator(*key)


def hash_text(s):
    h = 0xCBF29CE484222325
    for b in s.encode():
        h = ((h ^ b) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return h >> 1


def randomise(model, g, init):
    """Weights of unit gain, so that no layer's output is negligible; norms and biases away from 1 and 0. Or, with
    init "default", what the public class draws for itself."""
    with torch.no_grad():
        if init == "default":
            return model.eval().float()
        for name, p in model.named_parameters():
            r = torch.randn(p.shape, generator=g)
            leaf = name.rsplit(".", 1)[-1]
            if "relative_attention_bias" in name:
                p.copy_(r)
            elif name.endswith("embed_tokens.weight") or name == "shared.weight":
                p.copy_(r)
            elif "scale_shift_table" in name:
                p.copy_(0.4 * r)
            elif leaf == "bias":
                p.copy_(0.1 * r)
            elif leaf == "gamma" or p.dim() == 1:
                p.copy_(1 + 0.2 * r)
            else:
                p.copy_(r / math.sqrt(p[0].numel()))
    return model.eval().float()


def store(model, c, folder):
    """Rounds to the stored type, saves, and leaves the model in float32."""
    size = {"max_shard_size": "60KB"} if c.get("shards") else {}
    if c["store"] == "f32":
        model.save_pretrained(folder, **size)
        return model
    dtype = {"bf16": torch.bfloat16, "f16": torch.float16}[c["store"]]
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(p.to(dtype).float())
    copy.deepcopy(model).to(dtype).save_pretrained(folder, **size)
    return model


def make_text(name, c, parts):
    g = seeded("text", name, c)
    umt5 = c.get("kind", "umt5") == "umt5"
    config = (UMT5Config if umt5 else T5Config)(
        vocab_size=224, d_model=c["d_model"], d_kv=c["d_kv"], d_ff=c["d_ff"], num_layers=c["num_layers"], num_heads=c["num_heads"],
        relative_attention_num_buckets=c["buckets"], relative_attention_max_distance=c["distance"],
        feed_forward_proj=c.get("proj", "gated-gelu"), tie_word_embeddings=True)
    model = randomise((UMT5EncoderModel if umt5 else T5EncoderModel)(config), g, c.get("init"))
    with torch.no_grad():  # T5 attends without 1 / sqrt(d): q carries it
        for n, p in model.named_parameters():
            if n.endswith(".q.weight") and c.get("init") != "default":
                p.mul_(1.5 / math.sqrt(c["d_kv"]))
    return store(model, c, os.path.join(parts, name))


def make_vae(name, c, parts):
    g = seeded("vae", name, c)
    z_dim = c.get("z_dim", 16)
    mean = (0.7 * torch.randn(z_dim, generator=g)).tolist()
    std = (0.5 + 2.5 * torch.rand(z_dim, generator=g)).tolist()
    vae = AutoencoderKLWan(base_dim=c["base_dim"], decoder_base_dim=c.get("decoder_base_dim"), z_dim=z_dim, dim_mult=c["dim_mult"],
                           num_res_blocks=c["num_res_blocks"], attn_scales=[], temperal_downsample=c.get("temporal", [False, True, True]),
                           latents_mean=mean, latents_std=std)
    randomise(vae, g, c.get("init"))
    if c.get("init") == "default":
        return store(vae, c, os.path.join(parts, name))
    with torch.no_grad():  # frames spread over the range, encodings of order 1
        vae.decoder.conv_out.weight.mul_(0.01)
        vae.decoder.conv_out.bias.mul_(0.01)
        z = denormalise(vae, torch.randn((1, z_dim, 2, 4, 4), generator=g))
        scale = 0.4 / vae.decode(z, return_dict=False)[0].std()
        vae.decoder.conv_out.weight.mul_(scale)
        vae.decoder.conv_out.bias.mul_(scale)
        scale = 1.5 / vae.encode(torch.rand((1, 3, 5, 32, 32), generator=g) * 2 - 1).latent_dist.mode().std()
        vae.quant_conv.weight.mul_(scale)
    return store(vae, c, os.path.join(parts, name))


def per_channel(vae, values):
    return torch.tensor(values).view(1, vae.config.z_dim, 1, 1, 1)


def denormalise(vae, latents):
    return latents * per_channel(vae, vae.config.latents_std) + per_channel(vae, vae.config.latents_mean)


def make_scheduler(c):
    flow = dict(prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=c["flow_shift"])
    if c["sampler"] == "euler":
        return FlowMatchEulerDiscreteScheduler(shift=c["flow_shift"])
    return (UniPCMultistepScheduler if c["sampler"] == "unipc" else DPMSolverMultistepScheduler)(**flow)


def link(target, path):
    if os.path.islink(path):
        os.remove(path)
    os.symlink(os.path.relpath(target, os.path.dirname(path)), path)


def make_case(c, text, vae, tokenizer, out):
    folder = os.path.join(out, c["name"])
    parts = os.path.join(out, "parts")
    os.makedirs(folder, exist_ok=True)
    g = seeded("case", c)
    z_dim = vae.config.z_dim
    transformer = WanTransformer3DModel(
        patch_size=(1, 2, 2), num_attention_heads=c["heads"], attention_head_dim=c["head_dim"], in_channels=z_dim, out_channels=z_dim,
        text_dim=text.config.d_model, freq_dim=c["freq"], ffn_dim=c["ffn"], num_layers=c["layers"],
        cross_attn_norm=c.get("cross_attn_norm", True), qk_norm="rms_norm_across_heads", eps=1e-6)
    randomise(transformer, g, c.get("init"))
    shape = (1, z_dim, (c["frames"] - 1) // 2 ** sum(vae.config.temperal_downsample) + 1, c["height"] // 8, c["width"] // 8)
    init = torch.randn(shape, generator=g)
    velocity_t = torch.tensor([float(torch.randint(1, 1000, (1,), generator=g)) + (0.25 if c["sampler"] == "euler" else 0.0)])
    pipe = WanPipeline(tokenizer=tokenizer, text_encoder=text, transformer=transformer, vae=vae, scheduler=make_scheduler(c))
    pipe.set_progress_bar_config(disable=True)

    embeds = pipe.encode_prompt(c["prompt"], c["negative"], c["guidance"] > 1, max_sequence_length=MAX_TOKENS)
    with torch.no_grad():  # velocities of order 1
        if c.get("init") != "default":
            v = transformer(init, velocity_t, embeds[0], return_dict=False)[0]
            transformer.proj_out.weight.div_(v.std())
            transformer.proj_out.bias.div_(v.std())
        store(transformer, c, os.path.join(folder, "transformer"))
        velocity = transformer(init, velocity_t, embeds[0], return_dict=False)[0]
        latents = pipe(c["prompt"], negative_prompt=c["negative"], height=c["height"], width=c["width"], num_frames=c["frames"],
                       num_inference_steps=c["steps"], guidance_scale=c["guidance"], latents=init.clone(), output_type="latent",
                       max_sequence_length=MAX_TOKENS).frames
        video = vae.decode(denormalise(vae, latents), return_dict=False)[0]  # [1, 3, F, H, W] in [-1, 1]
        clip = smooth_clip(c, g)
        encoded = vae.encode((clip.float() / 127.5 - 1).permute(3, 0, 1, 2)[None]).latent_dist.mode()
        encoded = (encoded - per_channel(vae, vae.config.latents_mean)) / per_channel(vae, vae.config.latents_std)

    def rows(prompt_embeds, prompt):
        n = len(pipe.tokenizer(pipe_clean(prompt), truncation=True, max_length=MAX_TOKENS).input_ids)
        return prompt_embeds[0, :n]

    expected = dict(init_latents=init[0], prompt_embeds=rows(embeds[0], c["prompt"]), velocity_t=velocity_t, velocity=velocity[0],
                    latents=latents[0], frames=(video[0].permute(1, 2, 3, 0) / 2 + 0.5).clamp(0, 1).half(), clip=clip, encoded=encoded[0])
    if embeds[1] is not None:
        expected["negative_embeds"] = rows(embeds[1], c["negative"])
    assert all(torch.isfinite(t.float()).all() for t in expected.values()), c["name"]
    save_file({k: t.contiguous() for k, t in expected.items()}, os.path.join(folder, "expected.safetensors"))

    pipe.save_config(folder)
    pipe.scheduler.save_pretrained(os.path.join(folder, "scheduler"))
    link(os.path.join(parts, c["text"]), os.path.join(folder, "text_encoder"))
    link(os.path.join(parts, c["vae"]), os.path.join(folder, "vae"))
    link(TOKENIZER, os.path.join(folder, "tokenizer"))
    with open(os.path.join(folder, "case.json"), "w") as f:
        json.dump({k: c[k] for k in ("prompt", "negative", "width", "height", "frames", "steps", "guidance", "flow_shift", "sampler")}, f,
                  indent=1, ensure_ascii=False)
        f.write("\n")
    clipped = ((video.abs() >= 1).float().mean()).item()
    print(f"{c['name']}: latents std {latents.std():.2f}, frames std {video.std():.2f}, clipped {clipped:.3f}, encoded std {encoded.std():.2f}, "
          f"{sum(p.numel() for p in transformer.parameters())} parameters")


def pipe_clean(text):
    from diffusers.pipelines.wan.pipeline_wan import prompt_clean

    return prompt_clean(text)


def smooth_clip(c, g):
    coarse = torch.rand((1, 3, 3, 4, 4), generator=g)
    fine = torch.nn.functional.interpolate(coarse, size=(min(c["frames"], 9), c["height"], c["width"]), mode="trilinear")
    return (fine[0].permute(1, 2, 3, 0) * 255).round().to(torch.uint8)


def random_case(i, seed):
    g = generator("extra", seed, i)
    pick = lambda *options: options[int(torch.randint(0, len(options), (1,), generator=g))]
    words = lambda n: " ".join(pick(*WORDS) for _ in range(n))
    init = lambda: pick("unit gain", "unit gain", "default")
    stored = lambda: dict(store=pick("f32", "bf16", "f16"), shards=pick(False, False, True), init=init())
    text = dict(kind=pick("umt5", "umt5", "umt5", "t5"), proj=pick("gated-gelu", "gated-gelu", "relu"), d_model=pick(16, 32, 40, 64),
                d_kv=pick(6, 8, 16), d_ff=pick(30, 37, 64, 128), num_layers=pick(1, 2, 3, 5), num_heads=pick(1, 2, 3, 4),
                buckets=pick(8, 16, 32), distance=pick(16, 20, 64, 128), **stored())
    vae = dict(base_dim=pick(3, 4, 8, 12), decoder_base_dim=pick(None, None, None, 6), z_dim=pick(16, 16, 16, 8, 4), num_res_blocks=pick(1, 2),
               dim_mult=pick([1, 1, 1, 1], [1, 2, 4, 4], [1, 2, 2, 4]),
               temporal=pick([False, True, True], [False, True, True], [True, True, False], [False, False, True]), **stored())
    case = dict(name=f"extra_{seed}_{i:02d}", heads=pick(1, 2, 3, 4), head_dim=pick(6, 8, 10, 12, 14, 16, 24, 32, 40, 64, 96, 128), layers=pick(1, 2, 3),
                ffn=pick(32, 50, 63, 96, 128), freq=pick(32, 64, 256), text=f"text_{seed}_{i:02d}", vae=f"vae_{seed}_{i:02d}",
                width=16 * pick(1, 2, 3, 4, 5, 6, 7, 13), height=16 * pick(1, 2, 3, 4, 5, 6, 7, 11), frames=pick(1, 5, 9, 13, 17),
                sampler=pick("unipc", "euler", "dpm++"), steps=pick(1, 2, 3, 4, 6, 15, 16), guidance=pick(1.0, 0.0, 1.5, 4.0, 6.5),
                flow_shift=pick(1.0, 2.5, 3.0, 5.0, 8.0), prompt=words(pick(0, 1, 3, 10, 40, 300)), negative=words(pick(0, 0, 2, 12)),
                cross_attn_norm=pick(True, True, True, False), **stored())
    return case, text, vae


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", required=True)
    parser.add_argument("--extra", type=int, default=0, help="this many random cases instead of the committed ones")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    torch.set_grad_enabled(False)
    parts = os.path.join(args.out, "parts")
    tokenizer = AutoTokenizer.from_pretrained(TOKENIZER)
    if args.extra:
        for i in range(args.extra):
            case, text, vae = random_case(i, args.seed)
            make_case(case, make_text(case["text"], text, parts), make_vae(case["vae"], vae, parts), tokenizer, args.out)
        return
    shutil.rmtree(args.out, ignore_errors=True)
    texts = {name: make_text(name, c, parts) for name, c in TEXTS.items()}
    vaes = {name: make_vae(name, c, parts) for name, c in VAES.items()}
    for case in CASES:
        make_case(case, texts[case["text"]], vaes[case["vae"]], tokenizer, args.out)


main()
