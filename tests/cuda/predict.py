#!/usr/bin/env python3
"""Predicted milliseconds of Wan 1.3B at 480x832x81 on cards that this project has not run on, as a Markdown table.

A roofline: each key tile takes the longest of its tensor products, its shared-memory waves and its exponentials, counted by host
execution (static_table.txt); three quarters of that rate is reached. Matrix products run at three quarters of the card's peak,
elementwise work at its memory's rate. On the H100 mma.sync is the bound, and its rate is the one measured on an H200 (345 TFLOP/s).
"""
import pathlib

LAYERS, HEADS, D, TOKENS, WIDTH, FFN, TEXT = 30, 12, 128, 32760, 1536, 8960, 512
REACHED = 0.75
# processors, GHz, bf16 FLOP a clock and processor with f32 sums, TB/s, kernel, measured attention TFLOP/s or None
CARDS = {"RTX 3090": (82, 1.695, 512, 0.936, "tall128", None), "RTX 4090": (128, 2.52, 512, 1.008, "tall128", None),
         "RTX 5090": (170, 2.407, 512, 1.792, "tall128", None), "H100 SXM": (132, 1.83, 4096, 3.35, "wide128", 345e12)}
TILE = {"tall128": (128, 64), "wide128": (128, 32)}
DENSITY = {"dense": 1.0, "radial": 0.444, "sla, 5 %": 0.05}


def tiles():
    out = {}
    for line in (pathlib.Path(__file__).parent / "static_table.txt").read_text().splitlines():
        name, _, text = line.partition(" | ")
        if text.startswith("mma"):
            w = text.split()
            out[name] = {w[i]: int(w[i + 1]) for i in range(0, len(w), 2)}
    return out


def attention(card, density, table):
    sms, ghz, flop, tb, kernel, measured = CARDS[card]
    rows, keys = TILE[kernel]
    flops = 4.0 * HEADS * TOKENS * TOKENS * D
    if measured:
        return flops * density / measured
    t = table[kernel]
    clocks = max(t["mma"] * 4096 / flop, t["ldmatrix_waves"] + t["copy_waves"], rows * keys / 16)
    count = HEADS * -(-TOKENS // rows) * (TOKENS / keys)
    return count * density * clocks / (sms * ghz * 1e9) / REACHED


def linear_part(card):
    """Features and values read twice, the result written; two small products a token."""
    sms, ghz, flop, tb, *_ = CARDS[card]
    return 8 * HEADS * TOKENS * D * 2 / (tb * 1e12) + 2 * 2 * 2 * HEADS * TOKENS * D * D / (sms * ghz * 1e9 * flop * REACHED)


def rest(card):
    sms, ghz, flop, tb, *_ = CARDS[card]
    products = 2 * TOKENS * (6 * WIDTH * WIDTH + 2 * WIDTH * FFN) + 4 * TOKENS * TEXT * WIDTH
    stream = TOKENS * WIDTH * (4 * 9 + 2 * 13)                      # f32 residual stream and bf16 activations between the products
    return products / (sms * ghz * 1e9 * flop * REACHED) + stream / (tb * 1e12)


def main():
    table = tiles()
    print("| card | the rest of a layer | " + " | ".join(f"attention, {m}" for m in DENSITY) + " | " + " | ".join(f"step, {m}" for m in DENSITY) + " |")
    print("|---" * (2 + 2 * len(DENSITY)) + "|")
    for card in CARDS:
        at = [attention(card, f, table) + (linear_part(card) if m.startswith("sla") else 0) for m, f in DENSITY.items()]
        step = [2 * LAYERS * (a + rest(card)) for a in at]
        print(f"| {card} | {rest(card) * 1e3:.1f} ms | " + " | ".join(f"{a * 1e3:.1f} ms" for a in at) + " | " + " | ".join(f"{s:.1f} s" for s in step) + " |")


if __name__ == "__main__":
    main()
