import Diagnostics
import Networks
import Training

/// Samples in the form that a backbone reads: token ids, or pixels that are normalised when they are needed.
public struct EncodedSamples: Sendable {
    enum Content: Sendable {
        /// One table of 256 values per channel.
        case images(ImageSet, tables: [[Float]])
        case tokens([[Int32]])
    }

    let content: Content
    /// True class of each sample.
    public let labels: [Int]
    /// Index of each sample in its source file.
    public let sourceIndices: [Int]

    public var count: Int { labels.count }

    /// The network input of the samples at `positions`, in that order.
    public func input(_ positions: some Collection<Int>) -> NetworkInput<Float> {
        switch content {
        case .tokens(let sequences): return .tokens(TokenBatch(positions.map { sequences[$0] }))
        case .images(let set, let tables):
            let plane = set.shape.height * set.shape.width
            let total = positions.count * set.shape.count
            return .images(
                [Float](unsafeUninitializedCapacity: total) { buffer, count in
                    var next = 0
                    for position in positions {
                        for (offset, byte) in set[position].enumerated() {
                            buffer[next] = tables[offset / plane][Int(byte)]
                            next += 1
                        }
                    }
                    count = total
                })
        }
    }

    /// Positions ordered by length, so that a batch holds samples of like size; equal lengths keep their order.
    public func ordered(_ positions: [Int]) -> [Int] {
        guard case .tokens(let sequences) = content else { return positions }
        return positions.sorted { (sequences[$0].count, $0) < (sequences[$1].count, $1) }
    }

    /// Bytes that the input of one sample takes, at most.
    var bytesPerSample: Int {
        switch content {
        case .images(let set, _): set.shape.count * 4
        case .tokens(let sequences): (sequences.lazy.map(\.count).max() ?? 0) * 4
        }
    }

    /// Rows of the longest sample's text; nil for images.
    var longestText: Int? {
        guard case .tokens(let sequences) = content else { return nil }
        return sequences.lazy.map(\.count).max()
    }
}

/// Turns samples into the numbers that a backbone reads.
struct SampleEncoder: Sendable {
    private enum Form: Sendable {
        case images(channels: Int, height: Int, width: Int, tables: [[Float]], resizing: ImageResizing?)
        case texts(any Tokenizer, maximum: Int?, vocabulary: Int)
    }

    private let form: Form

    /// - Parameters:
    ///   - folder: the backbone's folder, where the tokenizer is.
    ///   - largestValue: of the pixels, the scale when the suite names none.
    init(suite: Suite, backbone: BackboneDescription, folder: String, largestValue: Int) throws {
        switch backbone.input {
        case .images(let channels, let height, let width):
            let resizing = ImageResizing(height: height, width: width, largestValue: largestValue)
            var input = suite.input
            if input.resize, let scale = input.scale { input.scale = scale * resizing.gain }
            form = .images(
                channels: channels, height: height, width: width,
                tables: try Self.tables(
                    input, channels: channels, largestValue: input.resize ? 255 : largestValue),
                resizing: input.resize ? resizing : nil)
        case .tokens(let vocabulary, let positions):
            let limits = [suite.input.maxTokens, positions].compactMap { $0 }
            form = .texts(try TokenizerFile.load(folder: folder), maximum: limits.min(), vocabulary: vocabulary)
        }
    }

    /// (byte / scale − mean) / std for each byte and channel.
    private static func tables(_ input: Suite.Input, channels: Int, largestValue: Int) throws -> [[Float]] {
        for (key, list) in [("mean", input.mean), ("std", input.std)] where list.count != 1 && list.count != channels {
            throw Failure(
                .recipeBadParameter, "'input.\(key)' has \(list.count) numbers for \(channels) channels",
                place: "input.\(key)")
        }
        let scale = input.scale ?? Float(largestValue)
        return (0..<channels).map { channel in
            let mean = input.mean[input.mean.count == 1 ? 0 : channel]
            let std = input.std[input.std.count == 1 ? 0 : channel]
            return (0..<256).map { (Float($0) / scale - mean) / std }
        }
    }

    func encode(_ samples: LabelledSamples) throws -> EncodedSamples {
        EncodedSamples(
            content: try content(samples.store), labels: samples.labels, sourceIndices: samples.sourceIndices)
    }

    private func content(_ store: SampleStore) throws -> EncodedSamples.Content {
        switch (form, store) {
        case (.images(let channels, let height, let width, let tables, let resizing), .images(let original)):
            let set = resizing?.resized(original) ?? original
            let shape = set.shape
            guard (shape.channels, shape.height, shape.width) == (channels, height, width) else {
                throw Failure(
                    .backboneBadInput,
                    "the images are \(shape.channels)×\(shape.height)×\(shape.width), the backbone "
                        + "reads \(channels)×\(height)×\(width)", place: "data",
                    hint: shape.channels == channels ? "input: { resize: true } brings them to its size" : nil)
            }
            return .images(set, tables: tables)
        case (.texts(let tokenizer, let maximum, let vocabulary), .texts(let texts)):
            return .tokens(
                try texts.enumerated().map { index, text in
                    let ids = tokenizer.encodeInput(text, maximumTokens: maximum)
                    guard !ids.isEmpty, ids.allSatisfy({ (0..<vocabulary).contains($0) }) else {
                        throw Failure(
                            .backboneBadInput,
                            ids.isEmpty
                                ? "the text has no tokens" : "the tokenizer gives ids that the backbone does not have",
                            place: "sample \(index)")
                    }
                    return ids.map(Int32.init)
                })
        case (.images, .texts): throw Failure(.backboneBadInput, "the backbone reads images, the data are texts")
        case (.texts, .images): throw Failure(.backboneBadInput, "the backbone reads texts, the data are images")
        }
    }
}
