"""Writes tokenizer_golden.json: ids of T5Tokenizer (transformers 5, tokenizers library) for

  mini    assets/mini/tokenizer as it is; the hash of its tokenizer.json tells when this has to run again
  ties    a handmade vocabulary in which many splits have equal scores up to rounding, with sentinels and a second kind
          of added token

    python tests/golden/tokenizer_golden.py
"""

import json
import os
import random
import tempfile

from transformers import AutoTokenizer

HERE = os.path.dirname(os.path.abspath(__file__))
MINI = os.path.join(HERE, "../../assets/mini/tokenizer")

FIXED = [
    "", " ", "a", "  a  b ", "Hello World", "a red ball moves left", "a small green car drives to the right at night.", "</s>",
    "<pad> a", "a</s>b", "<unk>x", "<extra_id_0>", "<extra_id_1> a <extra_id_0>.", "\u2581", "\u2581\u2581a", "a\u2581b", " \u2581b",
    "a \u2581 b", "\uff26\uff55\uff4c\uff4c \uff57\uff49\uff44\uff54\uff48\u3000\uff54\uff45\uff58\uff54", "\ufb01 ligature \ufb02",
    "e\u0301 \u00e9 e\u0323\u0300 \ufb01\u0301", "\ud55c\uad6d\uc5b4 \u1100\u1161\u11a8 \uac01",
    "\u65e5\u672c\u8a9e \u30c6\u30ad\u30b9\u30c8 \uff83\uff77\uff7d\uff84 \u30ab\u3099 \uff76\uff9e",
    "\U0001f600\U0001f44d\U0001f3fd\U0001f468\u200d\U0001f469\u200d\U0001f467 \U0001f1e9\U0001f1ea\U0001f1eb", "tab\tnew\nline\r\nx\r y",
    "nbsp\u00a0x\u3000y\u200bz\u2028w", "a\u00adb", "&amp; &lt;", "\u00bd \u00bc \u2122 \u3297 \ufdfa", "x" * 90, "a " * 40, "a" * 25,
    "in" * 9, "a\u0301\u0302\u0303", "\u0301a", "\u212b", "\u0001\u0002x", "\u0915\u094d\u0915\u093c", "\ufeffx", "\u2060 a",
    "\u2122\u0301 ", "\u00ad\u0301", "\uff71\u3099", "\u2460\u2461 \u2167", "a\u200db", "o\u0308\u0323", "a\u0085b\u001cc\u001dd",
    "a &lt; b", "<html>", "< /s>", "</s></s>", " </s> ",
]

TIES = {
    "version": "1.0",
    "added_tokens": [
        {"id": 1, "content": "</s>", "single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True},
        {"id": 40, "content": "[m]", "single_word": False, "lstrip": True, "rstrip": True, "normalized": False, "special": False},
    ],
    "normalizer": None,
    "model": {
        "type": "Unigram",
        "unk_id": 2,
        "byte_fallback": False,
        "vocab": [["<pad>", 0.0], ["</s>", 0.0], ["<unk>", 0.0], ["\u2581", -0.7], ["a", -0.1], ["aa", -0.2], ["aaa", -0.3],
                  ["b", -1.1], ["ab", -1.2], ["ba", -1.2], ["bb", -2.2], ["\u2581a", -0.8], ["\u2581b", -1.8], ["aba", -1.3],
                  ["\u00e9", -3.5], ["a\u00e9", -3.6], ["<extra_id_1>", 0.0], ["<extra_id_0>", 0.0]],
    },
}


def fnv(data):
    h = 0xCBF29CE484222325
    for b in data:
        h = ((h ^ b) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return f"{h:016x}"


def random_strings(n):
    alphabets = [list("abcdefghijklmnopqrstuvwxyz ,.'-"), [chr(c) for c in range(0x20, 0x250)], [chr(c) for c in range(0x2000, 0x2200)],
                 [chr(c) for c in range(0x300, 0x340)] + list("aeiou \ufb01\u2460"), [chr(c) for c in range(0xFF00, 0xFFEF)] + [" "],
                 [chr(c) for c in range(0x1F300, 0x1F650)] + ["\u200d", "\ufe0f", " "], ["</s>", "<pad>", " ", "a", "\u2581", "<", "s>"]]
    out = []
    for _ in range(n):
        a = random.choice(alphabets)
        out.append("".join(random.choice(a) for _ in range(random.randrange(1, 24))))
    return out


def cases(folder, texts, length=512):
    t = AutoTokenizer.from_pretrained(folder)
    return [[s, t(s, truncation=True, max_length=length).input_ids] for s in texts]


def main():
    random.seed(5)
    with open(os.path.join(MINI, "tokenizer.json"), "rb") as f:
        digest = fnv(f.read())
    golden = {"mini": {"hash": digest, "cases": cases(MINI, FIXED + random_strings(200)), "cut": cases(MINI, FIXED, 8)}}
    texts = ["a" * n for n in range(1, 30)] + ["aba" * 7, "[m]", " a [m] b ", "a[m][m]b", "<extra_id_0>a<extra_id_1>", "\u00e9\u00e9a\u00e9", "zzaz"]
    texts += ["".join(random.choice("aaab\u00e9z ") for _ in range(random.randrange(3, 40))) for _ in range(120)]
    with tempfile.TemporaryDirectory() as folder:
        with open(os.path.join(folder, "tokenizer.json"), "w") as f:
            json.dump(TIES, f)
        config = {"tokenizer_class": "T5Tokenizer", "extra_ids": 2}
        with open(os.path.join(folder, "tokenizer_config.json"), "w") as f:
            json.dump(config, f)
        golden["ties"] = {"tokenizer": TIES, "config": config, "cases": cases(folder, texts)}
    with open(os.path.join(HERE, "tokenizer_golden.json"), "w") as f:
        lines = []
        for name, part in golden.items():
            rest = ",\n".join(f" {json.dumps(k)}: {json.dumps(v, separators=(',', ':'))}" for k, v in part.items())
            lines.append(f"{json.dumps(name)}: {{\n{rest}\n}}")
        f.write("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
