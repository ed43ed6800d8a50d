// Pages of the areas `file`, `safetensors` and `shard`: the containers of weights.

extension ErrorPage {
    static let filePages: [ErrorPage] = [
        .error(
            .fileHtml,
            cause: "The file is a web page. A download was answered with a log-in or error page.",
            example: "lorabank import model.safetensors   (the file begins with `<!DOCTYPE html>`)",
            remedy: "Download the file again, logged in; on the Hub use the `resolve` address, not the `blob` address."),
        .error(
            .fileLfsPointer,
            cause:
                "The file is a Git LFS pointer of some 130 bytes: the repository was cloned without its large files.",
            example: "version https://git-lfs.github.com/spec/v1",
            remedy: "Run `git lfs pull` in the clone, then import again."),
        .error(
            .fileJson,
            cause:
                "The file holds JSON where weights are expected, often an index or a configuration that was renamed.",
            example: "lorabank inspect adapter_config.json",
            remedy: "Name the folder or the `.safetensors` file instead."),
        .error(
            .fileCompressed,
            cause: "A weight file is compressed as a whole (gzip, zstd, xz) without being an archive.",
            example: "adapter_model.safetensors begins with 1F 8B",
            remedy: "Decompress it first, e.g. `gunzip adapter_model.safetensors.gz`."),
        .error(
            .filePickleZip,
            cause: "The file ends in .safetensors, but is a PyTorch archive (a ZIP with pickles in it).",
            example: "torch.save(...) was written to model.safetensors",
            remedy: "Save it again with `safetensors.torch.save_file`; renaming does not convert."),
        .error(
            .filePickle,
            cause: "The file ends in .safetensors, but is a bare Python pickle.",
            example: "model.safetensors begins with 80 02",
            remedy: "Save it again with `safetensors.torch.save_file`, in an environment that you trust."),
    ]

    static let safetensorsPages: [ErrorPage] = [
        .error(
            .safetensorsTooShort, cause: "The file has fewer than the 8 bytes that hold the length of the header.",
            example: "an upload or copy that stopped at once", remedy: "Fetch the file again."),
        .error(
            .safetensorsHeaderTooLarge, cause: "The header is declared longer than 100,000,000 bytes.",
            example: "the first 8 bytes are 00 00 00 00 00 00 00 80",
            remedy: "The file is damaged or is no safetensors file: fetch it again."),
        .error(
            .safetensorsHeaderPastEnd, cause: "The declared header ends behind the end of the file.",
            example: "a header of 4,096 bytes in a file of 10 bytes", remedy: "Fetch the file again; it was cut."),
        .error(
            .safetensorsHeaderBadStart,
            cause: "The header does not begin with `{`: a byte order mark, white space, `[`.",
            example: "EF BB BF 7B …",
            remedy: "Write the file with a safetensors library; editors must not touch it."),
        .error(
            .safetensorsHeaderNotUtf8, cause: "The header holds bytes that are not UTF-8.",
            example: "a tensor name with the bytes C3 28", remedy: "Rename the tensors and write the file again."),
        .error(
            .safetensorsHeaderNotJson, cause: "The header is not one JSON document, or text follows the document.",
            example: "{\"w\":{\"dtype\":\"F32\",\"shape\":[4],",
            remedy: "Write the file again; fetch it again if it was whole."),
        .error(
            .safetensorsHeaderNotObject, cause: "The header, or the entry of a tensor, is JSON but no object.",
            example: "{\"w\": 3}", remedy: "Write the file with a safetensors library."),
        .error(
            .safetensorsJsonTooDeep, cause: "The header nests deeper than any tensor file needs.",
            example: "{\"__metadata__\":{\"a\":[[[[…",
            remedy: "Put nested data into a text value of the metadata, or leave it out."),
        .error(
            .safetensorsDuplicateKey,
            cause: "A key stands twice in one object. Readers disagree about which one counts, so neither is used.",
            example: "{\"w\":{…I32…},\"w\":{…F32…}}", remedy: "Write the file again with distinct tensor names."),
        .error(
            .safetensorsBadMetadata, cause: "`__metadata__` is no object of texts.",
            example: "{\"__metadata__\":{\"epoch\":3}}", remedy: "Write metadata values as texts: {\"epoch\":\"3\"}."),
        .error(
            .safetensorsMissingField, cause: "The entry of a tensor lacks dtype, shape or data_offsets.",
            example: "{\"w\":{\"dtype\":\"F32\",\"shape\":[4]}}", remedy: "Write the file with a safetensors library."),
        .error(
            .safetensorsBadDtype, cause: "The element type is unknown; names are upper case.",
            example: "{\"dtype\":\"f32\"}", remedy: "Convert the tensor to F32, F16 or BF16."),
        .error(
            .safetensorsBadShape, cause: "A shape holds something else than non-negative integers.",
            example: "{\"shape\":[-2,-2]}", remedy: "Write the file with a safetensors library."),
        .error(
            .safetensorsShapeOverflow, cause: "The product of the dimensions does not fit 64 bits.",
            example: "{\"shape\":[4294967296,4294967296]}",
            remedy: "The header lies about the data: do not use this file."),
        .error(
            .safetensorsBadOffsets, cause: "data_offsets are no ordered pair of positions inside the file.",
            example: "{\"data_offsets\":[16,0]}", remedy: "Write the file with a safetensors library."),
        .error(
            .safetensorsOverlap, cause: "Two tensors share bytes.",
            example: "a has [0,16], b has [8,24]", remedy: "Write the file with a safetensors library."),
        .error(
            .safetensorsHole, cause: "Some bytes of the data belong to no tensor.",
            example: "a ends at 16, b begins at 24", remedy: "Write the file with a safetensors library."),
        .error(
            .safetensorsSizeMismatch, cause: "Shape × element size differs from the length that data_offsets give.",
            example: "F32 [4] with data_offsets [0,12]", remedy: "Write the file with a safetensors library."),
        .error(
            .safetensorsUnalignedSubbyte, cause: "A tensor of 4 or 6 bit elements does not fill whole bytes.",
            example: "F4 [3]", remedy: "Pad the tensor, or convert it to F16."),
        .error(
            .safetensorsDataTruncated, cause: "The file ends before the last tensor: an interrupted download or copy.",
            example: "the last 5 bytes are missing",
            remedy: "Fetch the file again and compare its size with the source."),
        .error(
            .safetensorsTrailingBytes,
            cause: "Bytes follow the last tensor; something is hidden there or was appended.",
            example: "a ZIP archive behind the data", remedy: "Fetch the file again; do not trust one with a tail."),
        .error(
            .shardMissing, cause: "The index names a shard that is not in the folder.",
            example: "model.safetensors.index.json names …-00002-of-00002.safetensors",
            remedy: "Fetch all files of the set into one folder."),
        .error(
            .shardBadIndex, cause: "The index file is no JSON object with a `weight_map`, or contradicts the shards.",
            example: "{\"weight_map\": []}", remedy: "Fetch the index again, or save the model again."),
        .error(
            .shardPath, cause: "The index names a file outside its own folder.",
            example: "{\"weight_map\":{\"w\":\"../secret.safetensors\"}}",
            remedy: "Do not use this model: the index reaches out of its folder."),
    ]
}
