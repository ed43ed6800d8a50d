import Diagnostics

/// Token sequences of any lengths, one after another without padding.
public struct TokenBatch: Sendable {
    public var ids: [Int32]
    public var lengths: [Int]
    /// Segment of each token (BERT); nil: all 0.
    public var types: [Int32]?

    public init(_ sequences: [[Int32]]) {
        ids = sequences.flatMap { $0 }
        lengths = sequences.map(\.count)
    }

    /// Sequences that were padded to one length; `mask` is 1 at real tokens, and these come first in each row.
    public init(padded ids: [Int32], mask: [Int32], length: Int) {
        var kept: [Int32] = []
        lengths = []
        for row in 0..<(length > 0 ? ids.count / length : 0) {
            let count = mask[row * length..<(row + 1) * length].prefix { $0 != 0 }.count
            kept += ids[row * length..<row * length + count]
            lengths.append(count)
        }
        self.ids = kept
    }

    public var count: Int { lengths.count }
}

/// What a pass starts from.
public enum NetworkInput<S: NetworkScalar>: Sendable {
    /// Normalised pixels [samples, channels, height, width].
    case images([Float])
    case tokens(TokenBatch)
    /// Rows that ``Backbone/prefix(of:through:threads:)`` made, for these samples in this order (one may appear
    /// several times).
    case activations(PrefixActivations<S>, samples: [Int])
}

/// The rows of some samples in front of a layer, kept to continue from there.
public final class PrefixActivations<S: NetworkScalar>: @unchecked Sendable {
    /// The layer that comes next.
    public let layer: Int
    public let lengths: [Int]
    public let width: Int
    let offsets: [Int]
    let values: UnsafeMutableBufferPointer<S>

    init(layer: Int, lengths: [Int], width: Int) {
        self.layer = layer
        self.lengths = lengths
        self.width = width
        var offsets = [0]
        for length in lengths { offsets.append((offsets.last ?? 0) + length) }
        self.offsets = offsets
        values = .allocate(capacity: max(1, (offsets.last ?? 0) * width))
        values.initialize(repeating: 0)
    }

    deinit { values.deallocate() }

    public var samples: Int { lengths.count }
    /// Bytes that the rows take.
    public var byteCount: Int { values.count * MemoryLayout<S>.stride }

    /// All rows [Σ lengths, width], sample after sample.
    public var rows: [S] { Array(values[0..<(offsets.last ?? 0) * width]) }

    func rows(of sample: Int) -> UnsafeMutablePointer<S> {
        values.baseAddress.unsafelyUnwrapped + offsets[sample] * width
    }
}
