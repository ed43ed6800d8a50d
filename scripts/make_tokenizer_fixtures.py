"""Tiny tokenizers with the ids that Hugging Face `tokenizers` gives, for Tests/TrainingTests/Fixtures.

    python scripts/make_tokenizer_fixtures.py Tests/TrainingTests/Fixtures      # needs the PyPI package tokenizers

The texts are this project's own.
"""
import json
import os
import sys

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

CORPUS = [
    "Merging adapters: rank-8 and rank-16, together in one bank!",
    "the quick brown fox jumps over the lazy dog; it didn't stop, we're told.",
    "Zürich, naïve café, Ærø, straße 123 4567",
    "日本語のアダプタを統合する。東京 2024年",
    "def f(x):\n    return x**2 + 3.14\n\n\n# done\t\ttabs",
    "Привет, мир! Как дела?  emoji 🙂🚀 e\u0301 combining",
]
TEXTS = CORPUS + [
    "", " ", "   leading and trailing   ", "I'LL SHOUT, they'd say 'hello'", "a\r\nb\u00a0c\u2003d",
    "<|end|>middle<|end|>", "[CLS] in text [MASK]", "x" * 120 + " long", "\u0000zero \ufffd bad", "ﬁ ligature ½ Å Å",
    "한국어 텍스트", "mixed中文and英文", "नमस्ते दुनिया", "tab\tand\nnewline  \n  end", "1234567890 12 345",
]


def bpe(pattern, prefix_space, nfc, bos, ignore_merges):
    tok = Tokenizer(models.BPE(ignore_merges=ignore_merges))
    if nfc:
        tok.normalizer = normalizers.NFC()
    if pattern:
        tok.pre_tokenizer = pre_tokenizers.Sequence([
            pre_tokenizers.Split(Regex(pattern), behavior="isolated", invert=False),
            pre_tokenizers.ByteLevel(add_prefix_space=prefix_space, use_regex=False)])
    else:
        tok.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=prefix_space)
    tok.decoder = decoders.ByteLevel()
    tok.train_from_iterator(CORPUS, trainers.BpeTrainer(
        vocab_size=420, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False))
    tok.add_special_tokens([AddedToken("<|begin|>", special=True), AddedToken("<|end|>", special=True)])
    if bos:
        tok.post_processor = processors.TemplateProcessing(
            single="<|begin|> $A", special_tokens=[("<|begin|>", tok.token_to_id("<|begin|>"))])
    return tok


def wordpiece(lowercase):
    tok = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tok.normalizer = normalizers.BertNormalizer(lowercase=lowercase)
    tok.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tok.decoder = decoders.WordPiece()
    tok.train_from_iterator(CORPUS, trainers.WordPieceTrainer(
        vocab_size=300, special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"], show_progress=False))
    tok.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    return tok


QWEN = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
        r"|\s+(?!\S)|\s+")
LLAMA3 = QWEN.replace(r"\p{N}|", r"\p{N}{1,3}|", 1)
KINDS = {
    "bpe_gpt2": bpe(None, False, False, False, False),
    "bpe_prefix": bpe(None, True, False, False, False),
    "bpe_llama3": bpe(LLAMA3, False, False, True, True),
    "bpe_qwen": bpe(QWEN, False, True, False, False),
    "wordpiece": wordpiece(True),
    "wordpiece_cased": wordpiece(False),
}

out = sys.argv[1]
expected = {}
for name, tok in KINDS.items():
    tok.save(os.path.join(out, name + ".json"), pretty=False)
    expected[name] = [{
        "text": text, "ids": tok.encode(text).ids, "plain": tok.encode(text, add_special_tokens=False).ids,
        "decoded": tok.decode(tok.encode(text).ids, skip_special_tokens=True)} for text in TEXTS]
with open(os.path.join(out, "tokenizer_expected.json"), "w", encoding="utf-8") as f:
    json.dump(expected, f, ensure_ascii=True, indent=0)
