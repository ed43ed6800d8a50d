// Training: data sets, tokenizers and what learns from them.
//
// `Data/` reads images and text in their usual files (IDX, PNG, JPEG, NPY, CIFAR, TSV, folders) into `Dataset`s whose
// splits keep test data out of training by their types. `Tokenizers/` turns text into token ids as WordPiece and
// byte-pair models do. `Trainer/` moves adapters, heads and whole backbones by the rules of `Optimisation/`;
// `Glyphs/` draws what `Pretraining/` trains small backbones on.
//
// Begin reading at `Data/Dataset.swift`.
