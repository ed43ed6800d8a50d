#!/usr/bin/env python3
"""Writes Tests/EvaluationTests/Fixtures: two tiny suites with the results of a plain numpy forward pass in double precision.

Usage: python3 scripts/make_suite_fixtures.py Tests/EvaluationTests/Fixtures      (made with numpy 2.4)

digits/  a timm ViT (2 blocks, width 16) on 8×8 images, 4 classes in two tasks, adapters task0 (block 1) and task1 (all)
words/   a BERT encoder (2 layers, width 16) on texts of 1 to 7 words, 6 classes in 3 groups, adapters on both layers
expected.json in each: numbers of right answers and predictions of backbone, adapters, their sum and the oracle; the
features of the first test samples through the backbone and the first adapter. No two best scores lie within 1e-4.
"""
import gzip, json, math, os, struct, sys
import numpy as np

erf = np.vectorize(math.erf)
gelu = lambda x: 0.5 * x * (1 + erf(x / math.sqrt(2)))


def norm(x, w, b, eps):
    c = x - x.mean(-1, keepdims=True)
    return c / np.sqrt((c * c).mean(-1, keepdims=True) + eps) * w + b


def attend(q, k, v, heads):
    out, d = [], q.shape[1] // heads
    for h in range(heads):
        s = slice(h * d, (h + 1) * d)
        e = q[:, s] @ k[:, s].T / math.sqrt(d)
        p = np.exp(e - e.max(1, keepdims=True))
        out.append(p / p.sum(1, keepdims=True) @ v[:, s])
    return np.concatenate(out, 1)


def unit(x):
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def write_tensors(path, tensors):
    header, data = {}, b""
    for name in sorted(tensors):
        value = np.ascontiguousarray(tensors[name], dtype="<f4")
        header[name] = {"dtype": "F32", "shape": list(value.shape), "data_offsets": [len(data), len(data) + value.nbytes]}
        data += value.tobytes()
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + data)


def write_json(path, value):
    with open(path, "w") as file:
        json.dump(value, file, indent=1)
        file.write("\n")


def single(rng, shape, scale):
    """Random numbers that single precision holds exactly."""
    return (rng.standard_normal(shape) * scale).astype(np.float32).astype(np.float64)


def linears(rng, names, tensors):
    for name, (rows, columns) in names.items():
        tensors[name + ".weight"] = single(rng, (rows, columns), 0.35)
        tensors[name + ".bias"] = single(rng, rows, 0.1)


def norms(rng, names, width, tensors):
    for name in names:
        tensors[name + ".weight"] = 1 + single(rng, width, 0.1)
        tensors[name + ".bias"] = single(rng, width, 0.1)


def adapter(rng, folder, modules, tensors, rank=2, alpha=4, base="tiny"):
    os.makedirs(folder, exist_ok=True)
    weights, delta = {}, {}
    for name in modules:
        rows, columns = tensors[name + ".weight"].shape
        a, b = single(rng, (rank, columns), 0.5), single(rng, (rows, rank), 0.5)
        weights[f"base_model.model.{name}.lora_A.weight"] = a
        weights[f"base_model.model.{name}.lora_B.weight"] = b
        delta[name + ".weight"] = alpha / rank * b @ a
    write_tensors(folder + "/adapter_model.safetensors", weights)
    write_json(folder + "/adapter_config.json", {
        "peft_type": "LORA", "base_model_name_or_path": base, "r": rank, "lora_alpha": alpha, "lora_dropout": 0.0,
        "target_modules": sorted({m.split(".", 2)[-1] for m in modules}), "bias": "none", "task_type": None,
        "fan_in_fan_out": False, "use_rslora": False, "use_dora": False, "modules_to_save": None})
    return delta


def added(tensors, *deltas):
    result = dict(tensors)
    for delta in deltas:
        for name, value in delta.items():
            result[name] = result[name] + value
    return result


def outcome(features, head, labels, tasks, scale, bias=0):
    logits = scale * unit(features) @ head.T + bias
    best = logits.argmax(1)
    local = np.array([next(t for t in tasks if y in t)[np.argmax(logits[i, next(t for t in tasks if y in t)])]
                      for i, y in enumerate(labels)])
    gaps = np.sort(logits, 1)
    assert (gaps[:, -1] - gaps[:, -2]).min() > 1e-4, "two classes are too close: choose another seed"
    per = [float((best == labels)[np.isin(labels, t)].mean()) for t in tasks]
    return {"predictions": best.tolist(), "correct_global": int((best == labels).sum()),
            "correct_local": int((local == labels).sum()), "per_task": per}


def study(folder, tensors, deltas, encode, labels, head, tasks, scale, order):
    features = {"backbone": encode(tensors)}
    for name, delta in deltas.items():
        features[name] = encode(added(tensors, delta))
    features["sum"] = encode(added(tensors, *deltas.values()))
    owner = [next(i for i, t in enumerate(tasks) if y in t) for y in labels]
    features["oracle"] = np.stack([features[order[o]][i] for i, o in enumerate(owner)])
    expected = {name: outcome(value, head, labels, tasks, scale) for name, value in features.items()}
    first = order[0]
    expected["features"] = {name: unit(features[name][:4]).tolist() for name in ("backbone", first)}
    write_json(folder + "/expected.json", expected)
    print(folder, {k: (v["correct_global"], v["correct_local"]) for k, v in expected.items() if k != "features"})


def digits(root):
    rng = np.random.default_rng(11)
    folder, width, heads, inner, depth, patch, classes = root + "/digits", 16, 2, 40, 2, 4, 4
    for part in ("backbone", "data"):
        os.makedirs(f"{folder}/{part}", exist_ok=True)
    t = {"cls_token": single(rng, (1, 1, width), 0.5), "pos_embed": single(rng, (1, 5, width), 0.3),
         "patch_embed.proj.weight": single(rng, (width, 1, patch, patch), 0.3), "patch_embed.proj.bias": single(rng, width, 0.1)}
    for n in range(depth):
        b = f"blocks.{n}."
        linears(rng, {b + "attn.qkv": (3 * width, width), b + "attn.proj": (width, width), b + "mlp.fc1": (inner, width),
                      b + "mlp.fc2": (width, inner)}, t)
        norms(rng, [b + "norm1", b + "norm2"], width, t)
    norms(rng, ["norm"], width, t)
    write_tensors(f"{folder}/backbone/model.safetensors", t)
    write_json(f"{folder}/backbone/config.json", {
        "architecture": "timm.VisionTransformer", "img_size": 8, "patch_size": patch, "in_chans": 1, "num_classes": 0,
        "embed_dim": width, "depth": depth, "num_heads": heads, "mlp_ratio": 2.5, "class_token": True,
        "global_pool": "token", "qkv_bias": True, "act": "gelu (erf)", "layer_norm_eps": 1e-6})

    means = rng.integers(0, 17, (classes, 64))
    def split(count):
        labels = np.arange(count) % classes
        pixels = np.clip(means[labels] * 0.6 + rng.integers(0, 17, (count, 64)) * 0.5, 0, 16).astype(np.uint8)
        return pixels, labels
    sets = {"train": split(48), "test": split(61)}
    for name, (pixels, labels) in sets.items():
        for kind, array, shape in (("images-idx3", pixels, (len(labels), 8, 8)), ("labels-idx1", labels.astype(np.uint8), (len(labels),))):
            header = struct.pack(">BBBB", 0, 0, 8, len(shape)) + struct.pack(f">{len(shape)}I", *shape)
            with open(f"{folder}/data/{name}-{kind}-ubyte.gz", "wb") as file:
                file.write(gzip.compress(header + array.tobytes(), mtime=0))
    write_json(f"{folder}/data/meta.json", {
        "image": [8, 8], "channels": 1, "value_range": [0, 16], "classes": ["zero", "one", "two", "three"],
        "splits": {"train": 48, "test": 61}, "tasks": [[0, 1], [2, 3]]})

    def encode_split(w, pixels):
        out = []
        for image in (pixels / 16 - 0.4) / 0.3:
            grid = image.reshape(2, patch, 2, patch).transpose(0, 2, 1, 3).reshape(4, patch * patch)
            x = grid @ w["patch_embed.proj.weight"].reshape(width, -1).T + w["patch_embed.proj.bias"]
            x = np.concatenate([w["cls_token"][0], x]) + w["pos_embed"][0]
            for n in range(depth):
                b = f"blocks.{n}."
                y = norm(x, w[b + "norm1.weight"], w[b + "norm1.bias"], 1e-6)
                q, k, v = np.split(y @ w[b + "attn.qkv.weight"].T + w[b + "attn.qkv.bias"], 3, axis=1)
                x = x + attend(q, k, v, heads) @ w[b + "attn.proj.weight"].T + w[b + "attn.proj.bias"]
                y = norm(x, w[b + "norm2.weight"], w[b + "norm2.bias"], 1e-6)
                x = x + gelu(y @ w[b + "mlp.fc1.weight"].T + w[b + "mlp.fc1.bias"]) @ w[b + "mlp.fc2.weight"].T + w[b + "mlp.fc2.bias"]
            out.append(norm(x, w["norm.weight"], w["norm.bias"], 1e-6)[0])
        return np.stack(out)

    pixels, labels = sets["train"]
    features = unit(encode_split(t, pixels))
    head = unit(np.stack([features[labels == c].mean(0) for c in range(classes)])).astype(np.float32).astype(np.float64)
    write_tensors(folder + "/head.safetensors", {"weight": head})
    deltas = {"task0": adapter(rng, folder + "/task0", ["blocks.1.attn.qkv", "blocks.1.mlp.fc1"], t),
              "task1": adapter(rng, folder + "/task1", [f"blocks.{n}.attn.{m}" for n in range(2) for m in ("qkv", "proj")], t, rank=3)}
    pixels, labels = sets["test"]
    study(folder, t, deltas, lambda w: encode_split(w, pixels), labels, head, [[0, 1], [2, 3]], 20, ["task0", "task1"])
    with open(folder + "/suite.yaml", "w") as file:
        file.write("name: tiny-digits\nbackbone: backbone\ndata: { path: data, split: test }\n"
                   "input: { mean: 0.4, std: 0.3, scale: 16 }\nfeature: cls\nnormalize: l2\n"
                   "head: { path: head.safetensors, scale: 20 }\n")


def words(root):
    rng = np.random.default_rng(7)
    folder, width, heads, inner, depth = root + "/words", 16, 4, 24, 2
    for part in ("backbone", "data"):
        os.makedirs(f"{folder}/{part}", exist_ok=True)
    intents = [("pay_bill", "money"), ("send_cash", "money"), ("boil_egg", "food"), ("bake_bread", "food"),
               ("book_train", "trips"), ("find_hotel", "trips")]
    own = [intent.split("_") for intent, _ in intents]
    filler = ["please", "now", "the", "my", "how", "to", "i", "want"]
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"] + sorted({w for pair in own for w in pair} | set(filler))
    with open(folder + "/backbone/vocab.txt", "w") as file:
        file.write("\n".join(vocabulary) + "\n")
    write_json(folder + "/backbone/config.json", {
        "model_type": "bert", "architectures": ["BertModel"], "hidden_size": width, "num_hidden_layers": depth,
        "num_attention_heads": heads, "intermediate_size": inner, "hidden_act": "gelu", "layer_norm_eps": 1e-12,
        "max_position_embeddings": 12, "type_vocab_size": 2, "vocab_size": len(vocabulary), "pad_token_id": 0,
        "position_embedding_type": "absolute"})
    t = {"embeddings.word_embeddings.weight": single(rng, (len(vocabulary), width), 0.6),
         "embeddings.position_embeddings.weight": single(rng, (12, width), 0.2),
         "embeddings.token_type_embeddings.weight": single(rng, (2, width), 0.2)}
    norms(rng, ["embeddings.LayerNorm"], width, t)
    for n in range(depth):
        b = f"encoder.layer.{n}."
        linears(rng, {b + "attention.self.query": (width, width), b + "attention.self.key": (width, width),
                      b + "attention.self.value": (width, width), b + "attention.output.dense": (width, width),
                      b + "intermediate.dense": (inner, width), b + "output.dense": (width, inner)}, t)
        norms(rng, [b + "attention.output.LayerNorm", b + "output.LayerNorm"], width, t)
    write_tensors(folder + "/backbone/model.safetensors", t)

    def split(count):
        rows = []
        for i in range(count):
            c = i % len(intents)
            picked = [w for w in own[c] if rng.random() < 0.8] + [str(w) for w in rng.choice(filler, rng.integers(1, 6))]
            rows.append((" ".join(rng.permutation(picked)), c))
        return rows
    sets = {"train": split(36), "test": split(54)}
    for name, rows in sets.items():
        with open(f"{folder}/data/{name}.tsv", "w") as file:
            for text, c in rows:
                file.write(f"{text}\t{intents[c][0]}\t{intents[c][1]}\n")
    write_json(folder + "/data/meta.json", {
        "columns": ["text", "intent", "domain"], "splits": {"train": 36, "test": 54},
        "classes": [{"id": i, "intent": n, "domain": d} for i, (n, d) in enumerate(intents)]})

    def encode_texts(w, texts):
        ln = lambda x, name: norm(x, w[name + ".weight"], w[name + ".bias"], 1e-12)
        lin = lambda x, name: x @ w[name + ".weight"].T + w[name + ".bias"]
        out = []
        for text in texts:
            ids = [2] + [vocabulary.index(word) for word in text.split()][:4] + [3]
            x = w["embeddings.word_embeddings.weight"][ids] + w["embeddings.position_embeddings.weight"][:len(ids)]
            x = ln(x + w["embeddings.token_type_embeddings.weight"][0], "embeddings.LayerNorm")
            for n in range(depth):
                b = f"encoder.layer.{n}."
                c = attend(*(lin(x, b + "attention.self." + m) for m in ("query", "key", "value")), heads)
                x = ln(x + lin(c, b + "attention.output.dense"), b + "attention.output.LayerNorm")
                x = ln(x + lin(gelu(lin(x, b + "intermediate.dense")), b + "output.dense"), b + "output.LayerNorm")
            out.append(x.mean(0))
        return np.stack(out)

    head = unit(encode_texts(t, [n.replace("_", " ") for n, _ in intents]))
    modules = lambda n: [f"encoder.layer.{n}.attention.self.query", f"encoder.layer.{n}.attention.self.value"]
    deltas = {"money": adapter(rng, folder + "/money", modules(0) + modules(1), t),
              "food": adapter(rng, folder + "/food", modules(1), t),
              "trips": adapter(rng, folder + "/trips", modules(1) + ["encoder.layer.1.output.dense"], t)}
    texts, labels = [r[0] for r in sets["test"]], np.array([r[1] for r in sets["test"]])
    study(folder, t, deltas, lambda w: encode_texts(w, texts), labels, head, [[0, 1], [2, 3], [4, 5]], 20,
          ["money", "food", "trips"])
    with open(folder + "/suite.yaml", "w") as file:
        file.write("name: tiny-words\nbackbone: backbone\ndata: { path: data }\ninput: { max_tokens: 6 }\n"
                   "feature: mean\nnormalize: l2\nhead: { zero_shot: class_names, scale: 20 }\ntasks: domain\n")


digits(sys.argv[1])
words(sys.argv[1])
