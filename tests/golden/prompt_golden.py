"""Writes prompt_golden.json: prompts and what diffusers' prompt_clean makes of them where ftfy is not installed.

    python tests/golden/prompt_golden.py
"""

import html
import html.entities
import json
import os
import random
import re


def clean(text):  # basic_clean and whitespace_clean of diffusers' pipeline_wan.py
    text = html.unescape(html.unescape(text)).strip()
    return re.sub(r"\s+", " ", text).strip()


FIXED = [
    "", " ", "a cat", "  a \t\n cat \r\n", "&", "&#", "&#;", "&#x;", "&#x", "&amp;amp;lt;", "&amp;amp;amp;lt;", "&notit;",
    "&notin;", "&noti", "&#0;", "a&#13;b", "&#128;", "&#x9f;", "&#x81;", "&#xD800;", "&#x110000;", "&#99999999999999999999;",
    "&#xfdd0;", "&#x1fffe;", "&#1;x", "&#11;x", "a&#12;x", "a&#9;b", "&lt", "&ltfoo;", "&copy\u00e9;", "&a", "&ab;", "&Zopf;",
    "&NotEqualTilde;", "a\u3000\u00a0b\x1c\x1dc", "\x85x", "\u180ex", "\u200bx", "&nbsp;x&nbsp;", "&" + "\u00e9" * 40,
    "&" + "a" * 40 + ";", "&CounterClockwiseContourIntegral;", "&CounterClockwiseContourIntegralx", "&#65", "&#65x", "&#X41;",
    "&#x4g", "&AMP;#65;", "&fjlig;", "&bne;&nvlt;", "&LT;b&GT;", "1 &lt 2 &amp&amp 3 &gt; 2", "&semi;", "&&amp;;", "\u2028a\u2029b",
    "\U0001f600&hearts;", "&quot;hi&quot; &apos;there&apos;", "&sup2;&sup2&sup", "&frac12;cup &frac12 cup", "&unknown; &#x1F600;",
]


def main():
    random.seed(11)
    parts = ["&", ";", "#", "x", "amp", "lt", "notin", "not", " ", "\t", "\u00a0", "\u00e9", "\U0001f600", "1", "65", "f", "&amp;", "&#x"]
    parts += ["&" + n for n in random.sample(sorted(html.entities.html5), 120)]
    texts = FIXED + ["".join(random.choice(parts) for _ in range(random.randrange(2, 10))) for _ in range(150)]
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "prompt_golden.json")
    with open(path, "w") as f:
        f.write("[\n" + ",\n".join(json.dumps([t, clean(t)]) for t in texts) + "\n]\n")


if __name__ == "__main__":
    main()
