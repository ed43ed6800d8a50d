// Networks: models that LoRA adapters sit on, and heads on their features.
//
// `Heads/` turns features into classes: linear and cosine heads, nearest class mean, ridge regression on random features,
// linear discriminants. Forward and backward of a layer stand side by side in one file.
//
// This module knows LoRA pairs, but no bank and no recipe. Begin reading at `Heads/ClassHead.swift`.
