"""Tokenizer (SentencePiece unigram, T5's special tokens) and the small UMT5 encoder."""
import argparse
import json
import os
import torch


def train_tokenizer(out, captions=40000, vocab=640):
    """Trained on captions of both presets: a wider world later must find its words already there."""
    import sentencepiece as spm
    from world import caption_corpus
    os.makedirs(out, exist_ok=True)
    txt = os.path.join(out, "captions.txt")
    with open(txt, "w") as f:
        for preset in ("core", "wide"):
            f.writelines(c + "\n" for c in caption_corpus(captions // 2, preset))
    # hard_vocab_limit off: the grammar supports fewer pieces than asked for. The normaliser folds case.
    spm.SentencePieceTrainer.train(
        input=txt, model_prefix=os.path.join(out, "spiece"), vocab_size=vocab, model_type="unigram", character_coverage=1.0,
        pad_id=0, eos_id=1, unk_id=2, bos_id=-1, pad_piece="<pad>", eos_piece="</s>", unk_piece="<unk>", hard_vocab_limit=False,
        normalization_rule_name="nmt_nfkc_cf", required_chars="abcdefghijklmnopqrstuvwxyz0123456789.,;:!?'\"-()&%/",
        num_threads=1, minloglevel=2)
    os.remove(txt)
    os.remove(os.path.join(out, "spiece.vocab"))
    special = dict(pad_token="<pad>", eos_token="</s>", unk_token="<unk>")
    json.dump(dict(special, tokenizer_class="T5Tokenizer", model_max_length=512, extra_ids=0, additional_special_tokens=[],
                   clean_up_tokenization_spaces=False, legacy=False), open(os.path.join(out, "tokenizer_config.json"), "w"), indent=2)
    json.dump(special, open(os.path.join(out, "special_tokens_map.json"), "w"), indent=2)


class Tokenizer:
    """Padded ids and lengths, </s> appended; the same ids as the transformers tokenizer (see __main__)."""

    def __init__(self, path):
        import sentencepiece as spm
        self.sp = spm.SentencePieceProcessor(model_file=os.path.join(path, "spiece.model"))
        self.size = self.sp.get_piece_size()

    def __call__(self, texts, length):
        ids, n = torch.zeros(len(texts), length, dtype=torch.long), torch.zeros(len(texts), dtype=torch.long)
        for i, t in enumerate(texts):
            e = self.sp.encode(t)[: length - 2] + [1]
            ids[i, : len(e)] = torch.tensor(e)
            n[i] = len(e)
        return ids, n


def build(vocab, d=192, layers=3, d_kv=32, heads=6, d_ff=512):
    from transformers import UMT5Config, UMT5EncoderModel
    m = UMT5EncoderModel(UMT5Config(
        vocab_size=vocab, d_model=d, d_kv=d_kv, d_ff=d_ff, num_layers=layers, num_heads=heads, dropout_rate=0.0,
        relative_attention_num_buckets=32, relative_attention_max_distance=128, feed_forward_proj="gated-gelu",
        layer_norm_epsilon=1e-6, pad_token_id=0, eos_token_id=1, decoder_start_token_id=0, is_encoder_decoder=True,
        tie_word_embeddings=False))
    for n, p in m.named_parameters():
        if "embed_tokens" in n or n == "shared.weight":
            torch.nn.init.normal_(p, std=1.0)
        elif "relative_attention_bias" in n:
            torch.nn.init.normal_(p, std=0.1)
        elif p.dim() == 2:
            torch.nn.init.normal_(p, std=p.shape[1] ** -0.5)
            if n.endswith(".q.weight"):                             # T5 has no scale in its attention
                p.data.mul_(d_kv ** -0.5)
            if n.endswith((".o.weight", ".wo.weight")):
                p.data.mul_(0.5)
    return m


def encode(m, ids, n):
    mask = (torch.arange(ids.shape[1], device=ids.device)[None] < n[:, None]).long()
    return m(ids, mask).last_hidden_state * mask[..., None]


def main():
    ap = argparse.ArgumentParser(description="Train the tokenizer and compare it with the transformers class")
    ap.add_argument("--out", required=True)
    ap.add_argument("--captions", type=int, default=40000)
    a = ap.parse_args()
    train_tokenizer(a.out, a.captions)
    from transformers import AutoTokenizer
    from world import caption_corpus
    tok, ref = Tokenizer(a.out), AutoTokenizer.from_pretrained(a.out)
    caps = list(caption_corpus(400, "wide", 7)) + ["Zebra & a CAT!", ""]
    ids, n = tok(caps, 80)
    bad = sum(ref(c).input_ids != i[:k].tolist() for c, i, k in zip(caps, ids, n))
    print(json.dumps(dict(pieces=tok.size, longest=int(n.max()), mean=round(float(n.float().mean()), 1), mismatches=bad, of=len(caps))))
    assert bad == 0


if __name__ == "__main__":
    main()
