"""Evaluates checkpoint folders as transformers writes them, without converting anything, and compares the predictions.

    python scripts/published_models.py LORABANK DATA WORK

DATA is a folder with train.tsv, test.tsv and meta.json (text <TAB> class). For BERT, Llama, Qwen2, Qwen3 and Mamba a small
random model and a tokenizer are saved with `save_pretrained`; `lorabank eval` and transformers then compute
nearest-class-mean predictions from mean features of the same texts. Needs torch, transformers, tokenizers.
"""

import json
import pathlib
import subprocess
import sys

import numpy as np
import tokenizers
import torch
import transformers as tf


def texts(folder, split, limit):
    rows = [line.split("\t") for line in (folder / f"{split}.tsv").read_text().splitlines()]
    names = sorted({row[1] for row in rows})[:8]
    return [(row[0], names.index(name)) for name in names for row in [r for r in rows if r[1] == name][:limit]], names


def byte_level(corpus):
    tokenizer = tokenizers.ByteLevelBPETokenizer()
    tokenizer.train_from_iterator(corpus, vocab_size=600, special_tokens=["<|endoftext|>"])
    return tf.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer._tokenizer, eos_token="<|endoftext|>", pad_token="<|endoftext|>")


def word_piece(corpus):
    tokenizer = tokenizers.BertWordPieceTokenizer(lowercase=True)
    tokenizer.train_from_iterator(corpus, vocab_size=600)
    return tf.BertTokenizerFast(tokenizer_object=tokenizer._tokenizer, do_lower_case=True)


def models(sizes, pieces):
    common = dict(hidden_size=64, num_hidden_layers=2, num_attention_heads=4, intermediate_size=96)
    return {
        "bert": (tf.BertModel, tf.BertConfig(vocab_size=pieces, max_position_embeddings=64, **common)),
        "bert-classifier": (
            tf.BertForSequenceClassification,
            tf.BertConfig(vocab_size=pieces, max_position_embeddings=64, num_labels=8, **common)),
        "llama": (
            tf.LlamaForCausalLM,
            tf.LlamaConfig(vocab_size=sizes, num_key_value_heads=2, max_position_embeddings=64, **common)),
        "qwen2": (tf.Qwen2ForCausalLM, tf.Qwen2Config(vocab_size=sizes, num_key_value_heads=2, **common)),
        "qwen3": (
            tf.Qwen3ForCausalLM, tf.Qwen3Config(vocab_size=sizes, num_key_value_heads=2, head_dim=16, **common)),
        "mamba": (
            tf.MambaForCausalLM,
            tf.MambaConfig(vocab_size=sizes, hidden_size=64, num_hidden_layers=2, state_size=8)),
    }


def features(model, tokenizer, samples):
    base = model.base_model if hasattr(model, "base_model") else model
    rows = []
    with torch.no_grad():
        for text, _ in samples:
            encoded = tokenizer(text, return_tensors="pt", truncation=True, max_length=32)
            output = base(input_ids=encoded["input_ids"])
            rows.append(output.last_hidden_state[0].mean(0).double().numpy())
    return np.stack(rows)


def nearest(train, labels, test):
    unit = lambda rows: rows / np.linalg.norm(rows, axis=1, keepdims=True)
    train = unit(train)
    means = unit(np.stack([train[np.array(labels) == c].mean(0) for c in range(max(labels) + 1)]))
    return (unit(test) @ means.T).argmax(1).tolist()




def main():
    program, data, work = sys.argv[1], pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3])
    train, names = texts(data, "train", 40)
    test, _ = texts(data, "test", 20)
    folder = work / "data"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "meta.json").write_text(json.dumps({"classes": names, "columns": ["text", "class"]}))
    for split, rows in (("train", train), ("test", test)):
        (folder / f"{split}.tsv").write_text("".join(f"{text}\t{names[label]}\n" for text, label in rows))
    corpus = [text for text, _ in train]
    bpe, pieces = byte_level(corpus), word_piece(corpus)
    failed = False
    for name, (kind, config) in models(len(bpe), len(pieces)).items():
        torch.manual_seed(1)
        model = kind(config).eval()
        tokenizer = pieces if name.startswith("bert") else bpe
        model.save_pretrained(work / name)
        tokenizer.save_pretrained(work / name)
        suite = work / f"{name}.yaml"
        suite.write_text(
            f"name: {name}\nbackbone: {name}\ndata: {{ path: data }}\ninput: {{ max_tokens: 32 }}\n"
            "feature: mean\nhead: { ncm: train }\n")
        outcome = subprocess.run(
            [program, "eval", "--suite", str(suite), "--details", "--json"], capture_output=True, text=True)
        if outcome.returncode != 0:
            print(f"{name}: {outcome.stderr.strip()}")
            failed = True
            continue
        found = json.loads(outcome.stdout)["results"][0]["predictions"]
        wanted = nearest(
            features(model, tokenizer, train), [label for _, label in train], features(model, tokenizer, test))
        same = sum(a == b for a, b in zip(found, wanted))
        print(f"{name}: {same} of {len(wanted)} predictions equal")
        failed |= same < len(wanted)
    failed |= not own_head(program, work, pieces, test)
    sys.exit(1 if failed else 0)


def own_head(program, work, tokenizer, test):
    """The classification checkpoint with its own pooler and classifier."""
    model = tf.BertForSequenceClassification.from_pretrained(work / "bert-classifier").eval()
    suite = work / "bert-own-head.yaml"
    suite.write_text(
        "name: own\nbackbone: bert-classifier\ndata: { path: data }\ninput: { max_tokens: 32 }\n"
        "feature: pooler\nhead: { from: backbone }\n")
    outcome = subprocess.run(
        [program, "eval", "--suite", str(suite), "--details", "--json"], capture_output=True, text=True)
    if outcome.returncode != 0:
        print(f"bert-classifier, own head: {outcome.stderr.strip()}")
        return False
    found = json.loads(outcome.stdout)["results"][0]["predictions"]
    with torch.no_grad():
        wanted = [
            int(model(**tokenizer(text, return_tensors="pt", truncation=True, max_length=32)).logits.argmax())
            for text, _ in test
        ]
    same = sum(a == b for a, b in zip(found, wanted))
    print(f"bert-classifier, own head: {same} of {len(wanted)} predictions equal")
    return same == len(wanted)


if __name__ == "__main__":
    main()
