"""Writes the reference cases of NetworksTests: tiny random backbones with outputs and gradients of transformers and timm.

Usage: python make_network_fixtures.py Tests/NetworksTests/Fixtures [folder with mnist/t10k-images-idx3-ubyte.gz]
Made with torch 2.13, transformers 5.23, timm 1.0.31, safetensors 0.8, all in float64 on one thread.

Each case is a folder: config.json and model.safetensors as the library saves them, and reference.safetensors with
  input.*          pixels, or ids and lengths (sequences one after another, no padding)
  base.hidden      last hidden states of all sequences, rows one after another, without adapters
  lora.<site>.a/.b a LoRA pair (scale 0.5) on every linear, sites named as in the engine (L0.q)
  hidden           the same with all adapters
  slope            the gradient that is sent back from the hidden states
  grad.<site>.a/.b gradients of the pairs
  weight.<name>    gradients of the backbone's own weights with adapters in place (ViT, BERT; checkpoint names)
  features.<kind>  pooled features with adapters
and for language models  loss (per token), greedy (ids that greedy search appends to the first sequence).
"""
import json, os, sys
import torch
from safetensors.torch import save_file
from torch.nn.utils import parametrize

torch.set_num_threads(1)
torch.manual_seed(0)
torch.set_default_dtype(torch.float64)
SCALE = 0.5


class LowRank(torch.nn.Module):
    """W -> W + SCALE * B @ A, for one weight: works also where a model reads the weight and skips the module."""

    def __init__(self, weight, rank):
        super().__init__()
        self.a = torch.nn.Parameter(torch.randn(rank, weight.shape[1]) * 0.3)
        self.b = torch.nn.Parameter(torch.randn(weight.shape[0], rank) * 0.3)

    def forward(self, weight):
        return weight + SCALE * self.b @ self.a


def randomise(model):
    for name, p in model.named_parameters():
        with torch.no_grad():
            if name.endswith("A_log"):
                p.add_(torch.randn_like(p) * 0.1)
            elif p.dim() == 1:
                centre = 1.0 if ("norm" in name.lower() and "bias" not in name) or name.endswith(".D") else 0.0
                p.copy_(centre + torch.randn_like(p) * 0.2)
            else:
                p.copy_(torch.randn_like(p) * (0.6 / p.shape[-1] ** 0.5 if p.dim() > 1 else 0.2))
                if "embed" in name:
                    p.copy_(torch.randn_like(p) * 0.7)


def f32(t):
    return t.detach().to(torch.float32).contiguous()


def round_to_f32(model):
    """The engine reads float32 files: both sides must start from the same numbers."""
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(p.to(torch.float32).to(torch.float64))


def attach(sites):
    pairs = {}
    for index, (site, module) in enumerate(sites.items()):
        pair = LowRank(module.weight, 2 + index % 3)
        round_to_f32(pair)
        parametrize.register_parametrization(module, "weight", pair)
        pairs[site] = pair
    return pairs


def write(folder, config, tensors, reference):
    os.makedirs(folder, exist_ok=True)
    json.dump(config, open(folder + "/config.json", "w"), indent=1, sort_keys=True)
    if tensors is not None:
        save_file({k: f32(v) for k, v in tensors.items()}, folder + "/model.safetensors")
    save_file(reference, folder + "/reference.safetensors")


def gradients(pairs, reference):
    for site, pair in pairs.items():
        reference[f"lora.{site}.a"], reference[f"lora.{site}.b"] = f32(pair.a), f32(pair.b)
        reference[f"grad.{site}.a"], reference[f"grad.{site}.b"] = f32(pair.a.grad), f32(pair.b.grad)


def weights(names, reference):
    for name, p in names.items():
        if p.grad is not None:
            reference["weight." + name] = f32(p.grad)


def plain(name):
    return name.replace(".parametrizations.weight.original", ".weight")


# ---------------------------------------------------------------- ViT

def vit_hf(root, head):
    from transformers import ViTConfig, ViTForImageClassification, ViTModel

    config = ViTConfig(hidden_size=20, num_hidden_layers=2, num_attention_heads=2, intermediate_size=36, image_size=12,
                       patch_size=4, num_channels=3, layer_norm_eps=1e-6 if head else 1e-12, num_labels=3,
                       hidden_act="gelu", attn_implementation="eager")
    model = (ViTForImageClassification if head else ViTModel)(config).eval()
    randomise(model)
    round_to_f32(model)
    folder = f"{root}/{'vit_hf_classifier' if head else 'vit_hf'}"
    os.makedirs(folder, exist_ok=True)
    saved = model.to(torch.float32)
    saved.save_pretrained(folder)
    model = model.to(torch.float64)
    inner = model.vit if head else model
    pixels = torch.randn(5, 3, 12, 12).to(torch.float32)
    reference = {"input.pixels": pixels}

    def hidden():
        return inner(pixels.double()).last_hidden_state

    reference["base.hidden"] = f32(hidden())
    sites = {}
    for n, layer in enumerate(inner.layers):
        for site, m in {"q": layer.attention.q_proj, "k": layer.attention.k_proj, "v": layer.attention.v_proj,
                        "o": layer.attention.o_proj, "fc1": layer.mlp.fc1, "fc2": layer.mlp.fc2}.items():
            sites[f"L{n}.{site}"] = m
    pairs = attach(sites)
    out = inner(pixels.double())
    y = out.last_hidden_state
    slope = torch.randn_like(y).to(torch.float32).double()
    (y * slope).sum().backward()
    reference |= {"hidden": f32(y), "slope": f32(slope), "features.cls": f32(y[:, 0]),
                  "features.mean": f32(y[:, 1:].mean(1))}
    if not head:
        reference["features.pooler"] = f32(out.pooler_output)
    gradients(pairs, reference)
    names = {}
    pieces = {"attention.q_proj": "attention.attention.query", "attention.k_proj": "attention.attention.key",
              "attention.v_proj": "attention.attention.value", "attention.o_proj": "attention.output.dense",
              "mlp.fc1": "intermediate.dense", "mlp.fc2": "output.dense"}
    for name, p in inner.named_parameters():
        if name.endswith((".0.a", ".0.b")):
            continue
        name = plain(name)
        for new, old in pieces.items():
            name = name.replace(new, old)
        names[("vit." if head else "") + name.replace("layers.", "encoder.layer.")] = p
    weights(names, reference)
    save_file(reference, folder + "/reference.safetensors")


def vit_timm(root):
    from timm.models.vision_transformer import VisionTransformer

    model = VisionTransformer(img_size=8, patch_size=4, in_chans=1, num_classes=0, embed_dim=16, depth=2, num_heads=2,
                              mlp_ratio=2.5).eval()
    randomise(model)
    round_to_f32(model)
    for block in model.blocks:
        block.attn.fused_attn = False
    config = {"architecture": "timm.VisionTransformer", "img_size": 8, "patch_size": 4, "in_chans": 1,
              "num_classes": 0, "embed_dim": 16, "depth": 2, "num_heads": 2, "mlp_ratio": 2.5, "class_token": True,
              "global_pool": "token", "qkv_bias": True, "act": "gelu (erf)", "layer_norm_eps": 1e-6}
    tensors = dict(model.state_dict())
    pixels = torch.randn(5, 1, 8, 8).to(torch.float32)
    reference = {"input.pixels": pixels, "base.hidden": f32(model.forward_features(pixels.double()))}
    sites = {}
    for n, block in enumerate(model.blocks):
        for site, m in {"qkv": block.attn.qkv, "o": block.attn.proj, "fc1": block.mlp.fc1, "fc2": block.mlp.fc2}.items():
            sites[f"L{n}.{site}"] = m
    pairs = attach(sites)
    y = model.forward_features(pixels.double())
    slope = torch.randn_like(y).to(torch.float32).double()
    (y * slope).sum().backward()
    reference |= {"hidden": f32(y), "slope": f32(slope), "features.cls": f32(y[:, 0]),
                  "features.mean": f32(y[:, 1:].mean(1))}
    gradients(pairs, reference)
    weights({plain(n): p for n, p in model.named_parameters() if not n.endswith((".0.a", ".0.b"))}, reference)
    write(f"{root}/vit_timm", config, tensors, reference)


# ---------------------------------------------------------------- text

LENGTHS = [5, 9, 1, 12]


def sequences(vocabulary, first=2):
    return [torch.randint(first, vocabulary, (n,)) for n in LENGTHS]


def run_text(folder, model, inner, sites, vocabulary, language, extra_names=None, pools=()):
    """Sequences run one by one, so that no padding is needed."""
    ids = sequences(vocabulary)
    reference = {"input.ids": torch.cat(ids).to(torch.int32), "input.lengths": torch.tensor(LENGTHS, dtype=torch.int32)}

    def hidden():
        return [inner(input_ids=i[None]).last_hidden_state[0] for i in ids]

    reference["base.hidden"] = f32(torch.cat(hidden()))
    pairs = attach(sites)
    rows = hidden()
    y = torch.cat(rows)
    slope = torch.randn_like(y).to(torch.float32).double()
    (y * slope).sum().backward()
    reference |= {"hidden": f32(y), "slope": f32(slope)}
    if "cls" in pools:
        reference["features.cls"] = f32(torch.stack([r[0] for r in rows]))
    if "mean" in pools:
        reference["features.mean"] = f32(torch.stack([r.mean(0) for r in rows]))
    if "pooler" in pools:
        reference["features.pooler"] = f32(torch.stack([inner(input_ids=i[None]).pooler_output[0] for i in ids]))
    if "last" in pools:
        reference["features.last"] = f32(torch.stack([r[-1] for r in rows]))
    gradients(pairs, reference)
    if extra_names:
        weights(extra_names(inner), reference)
    if language:
        losses = []
        with torch.no_grad():
            for i in ids:
                logits = model(input_ids=i[None]).logits[0]
                losses.append(torch.nn.functional.cross_entropy(logits[:-1], i[1:], reduction="none"))
            reference["loss"] = f32(torch.cat(losses))
            reference["logits"] = f32(model(input_ids=ids[1][None]).logits[0, -1])
            row = ids[0].tolist()
            greedy = []
            for _ in range(8):
                token = int(model(input_ids=torch.tensor([row])).logits[0, -1].argmax())
                row.append(token)
                greedy.append(token)
            reference["greedy"] = torch.tensor(greedy, dtype=torch.int32)
    save_file(reference, folder + "/reference.safetensors")


def save_model(model, folder, **options):
    os.makedirs(folder, exist_ok=True)
    model.to(torch.float32).save_pretrained(folder, **options)
    model.to(torch.float64)
    for extra in ("generation_config.json",):
        if os.path.exists(f"{folder}/{extra}"):
            os.remove(f"{folder}/{extra}")


def bert(root, roberta):
    from transformers import BertConfig, BertModel, RobertaConfig, RobertaModel

    shapes = dict(vocab_size=37, hidden_size=24, num_hidden_layers=2, num_attention_heads=3, intermediate_size=40,
                  max_position_embeddings=20, attn_implementation="eager", hidden_dropout_prob=0.0,
                  attention_probs_dropout_prob=0.0)
    if roberta:
        model = RobertaModel(RobertaConfig(**shapes, type_vocab_size=1, pad_token_id=1, layer_norm_eps=1e-5)).eval()
    else:
        model = BertModel(BertConfig(**shapes)).eval()
    randomise(model)
    round_to_f32(model)
    folder = f"{root}/{'roberta' if roberta else 'bert'}"
    save_model(model, folder)
    sites = {}
    for n, layer in enumerate(model.encoder.layer):
        a = layer.attention
        for site, m in {"q": a.self.query, "k": a.self.key, "v": a.self.value, "o": a.output.dense,
                        "fc1": layer.intermediate.dense, "fc2": layer.output.dense}.items():
            sites[f"L{n}.{site}"] = m
    names = lambda inner: {plain(n): p for n, p in inner.named_parameters() if not n.endswith((".0.a", ".0.b"))}
    run_text(folder, model, model, sites, 37, False, None if roberta else names, ("cls", "mean", "pooler"))


def decoder(root, name):
    import transformers as t

    shapes = dict(vocab_size=31, hidden_size=24, intermediate_size=40, num_hidden_layers=2, num_attention_heads=4,
                  num_key_value_heads=2, max_position_embeddings=64, rms_norm_eps=1e-5, attn_implementation="eager",
                  bos_token_id=1, eos_token_id=2, pad_token_id=0, tie_word_embeddings=False)
    if name == "llama":
        config = t.LlamaConfig(**shapes, rope_parameters={
            "rope_type": "llama3", "rope_theta": 1000.0, "factor": 4.0, "low_freq_factor": 1.0,
            "high_freq_factor": 4.0, "original_max_position_embeddings": 16})
    elif name == "mistral":
        config = t.MistralConfig(**shapes, sliding_window=4, head_dim=8)
    elif name == "qwen2":
        config = t.Qwen2Config(**(shapes | dict(tie_word_embeddings=True)))
    else:
        config = t.Qwen3Config(**shapes, head_dim=10)
    model = t.AutoModelForCausalLM.from_config(config, attn_implementation="eager").eval()
    randomise(model)
    round_to_f32(model)
    folder = f"{root}/{name}"
    save_model(model, folder, **(dict(max_shard_size="20KB") if name == "mistral" else {}))
    sites = {}
    for n, layer in enumerate(model.model.layers):
        a, m = layer.self_attn, layer.mlp
        for site, module in {"q": a.q_proj, "k": a.k_proj, "v": a.v_proj, "o": a.o_proj, "gate": m.gate_proj,
                             "up": m.up_proj, "down": m.down_proj}.items():
            sites[f"L{n}.{site}"] = module
    run_text(folder, model, model.model, sites, 31, True, None, ("mean", "last"))


def mamba(root, falcon):
    import transformers as t

    shapes = dict(vocab_size=29, hidden_size=20, state_size=5, num_hidden_layers=2, expand=2, conv_kernel=4,
                  time_step_rank=3, bos_token_id=1, eos_token_id=2, pad_token_id=0)
    config = t.FalconMambaConfig(**shapes, mixer_rms_eps=1e-6) if falcon else t.MambaConfig(**shapes)
    model = t.AutoModelForCausalLM.from_config(config).eval()
    randomise(model)
    round_to_f32(model)
    folder = f"{root}/{'falcon_mamba' if falcon else 'mamba'}"
    save_model(model, folder)
    sites = {}
    for n, layer in enumerate(model.backbone.layers):
        m = layer.mixer
        for site, module in {"in": m.in_proj, "x": m.x_proj, "dt": m.dt_proj, "out": m.out_proj}.items():
            sites[f"L{n}.{site}"] = module
    run_text(folder, model, model.backbone, sites, 29, True, None, ("mean", "last"))


def first_digits(root, data):
    """The first 32 MNIST test images, for comparison with recorded embeddings."""
    import gzip

    pixels = gzip.open(data + "/mnist/t10k-images-idx3-ubyte.gz").read()[16:16 + 32 * 784]
    save_file({"pixels": torch.frombuffer(bytearray(pixels), dtype=torch.uint8).reshape(32, 28, 28)},
              root + "/mnist32.safetensors")


if __name__ == "__main__":
    root = sys.argv[1]
    if len(sys.argv) > 2:
        first_digits(root, sys.argv[2])
    vit_hf(root, False)
    vit_hf(root, True)
    vit_timm(root)
    bert(root, False)
    bert(root, True)
    for name in ("llama", "mistral", "qwen2", "qwen3"):
        decoder(root, name)
    mamba(root, False)
    mamba(root, True)
