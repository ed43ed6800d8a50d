import Digests

/// Size of an image in pixels.
public struct ImageShape: Sendable, Hashable {
    public var channels: Int
    public var height: Int
    public var width: Int

    public init(channels: Int, height: Int, width: Int) {
        self.channels = channels
        self.height = height
        self.width = width
    }

    /// Numbers per image.
    public var count: Int { channels * height * width }
}

/// Images of one size as bytes: image after image, each [channels, height, width].
public struct ImageSet: Sendable, Hashable {
    public var shape: ImageShape
    public var pixels: [UInt8]

    public init(shape: ImageShape, pixels: [UInt8]) {
        self.shape = shape
        self.pixels = pixels
    }

    public var count: Int { shape.count == 0 ? 0 : pixels.count / shape.count }

    /// The bytes of image `index`.
    public subscript(index: Int) -> ArraySlice<UInt8> { pixels[index * shape.count..<(index + 1) * shape.count] }
}

/// What a data set consists of.
public enum SampleStore: Sendable, Hashable {
    case images(ImageSet)
    case texts([String])

    public var count: Int {
        switch self {
        case .images(let set): set.count
        case .texts(let texts): texts.count
        }
    }
}

/// Samples with a class each. `labels[i]` is a position in the data set's list of classes.
public struct LabelledSamples: Sendable, Hashable {
    public var store: SampleStore
    public var labels: [Int]
    /// Index of each sample in the source file: its identity.
    public var sourceIndices: [Int]

    public init(store: SampleStore, labels: [Int], sourceIndices: [Int]? = nil) {
        self.store = store
        self.labels = labels
        self.sourceIndices = sourceIndices ?? Array(0..<labels.count)
    }

    public var count: Int { labels.count }

    /// The samples at `positions`, in that order.
    public func selecting(_ positions: [Int]) -> LabelledSamples {
        let picked: SampleStore
        switch store {
        case .images(let set):
            var pixels: [UInt8] = []
            pixels.reserveCapacity(positions.count * set.shape.count)
            for position in positions { pixels += set[position] }
            picked = .images(ImageSet(shape: set.shape, pixels: pixels))
        case .texts(let texts): picked = .texts(positions.map { texts[$0] })
        }
        return LabelledSamples(
            store: picked, labels: positions.map { labels[$0] }, sourceIndices: positions.map { sourceIndices[$0] })
    }

    /// Positions of each class's samples, in order; `classes` = number of classes.
    public func positions(classes: Int) -> [[Int]] {
        var table = [[Int]](repeating: [], count: classes)
        for (position, label) in labels.enumerated() where label >= 0 && label < classes {
            table[label].append(position)
        }
        return table
    }

    /// SHA-256 of one sample's content.
    public func digest(of position: Int) -> SHA256Digest {
        switch store {
        case .images(let set): SHA256Digest.of(Array(set[position]))
        case .texts(let texts): SHA256Digest.of(texts[position])
        }
    }

    /// SHA-256 over all contents and labels, in order: two data sets with one hash are the same.
    public var contentHash: SHA256Digest {
        var hasher = SHA256Hasher()
        switch store {
        case .images(let set):
            hasher.update("images \(set.shape.channels) \(set.shape.height) \(set.shape.width) \(labels.count)\n")
            hasher.update(set.pixels)
        case .texts(let texts):
            hasher.update("texts \(labels.count)\n")
            for text in texts { hasher.update("\(text.utf8.count)\n" + text) }
        }
        for label in labels { hasher.update("\(label)\n") }
        return hasher.finish()
    }
}
