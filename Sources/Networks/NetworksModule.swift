// Networks: transformers and state space models with frozen weights whose linears carry any number of adapters, and
// heads on their features.
//
// `Layers/` holds each operation with its backward beside it; `Backbones/` the four families (ViT, BERT, Llama-style
// decoders, Mamba) and the passes over them; `Sites/` what adapters and routers add at a linear; `Heads/` turns
// features into classes: linear and cosine heads, nearest class mean, ridge regression on random features, linear
// discriminants. Begin reading at `Backbones/Backbone.swift` (load, run, learn), `Sites/LoRASlot.swift` and
// `Sites/AdapterMix.swift` (what runs on it), `Heads/ClassHead.swift`.
//
// Everything that runs on a backbone is generic over the element type: `Float` for work, `Double` for checking
// gradients. Samples never influence one another: a sample's numbers are the same bits in any batch, at any place in
// it, on any number of threads (`PackedProduct` in Tensors says why); sums over samples are taken in an order that
// only the batch decides. This module knows LoRA pairs, but no bank and no recipe.
