/// One tensor of a backbone inside its parameter store.
public struct ParameterEntry: Sendable, Hashable {
    /// Canonical name, e.g. `layers.0.q.weight`; the same for every spelling of the checkpoint.
    public let name: String
    public let shape: [Int]
    /// Position of the first element in the store.
    public let offset: Int

    public var count: Int { shape.reduce(1, *) }
}

/// All weights of a backbone in one flat buffer. A gradient with respect to all weights has the same layout.
///
/// Reading is safe from any thread while nobody writes; who writes (pre-training) calls
/// ``Backbone/weightsChanged()`` before the next forward pass.
public final class ParameterStore<S: NetworkScalar>: @unchecked Sendable {
    public let entries: [ParameterEntry]
    public let values: UnsafeMutableBufferPointer<S>
    private let index: [String: Int]

    /// A store of zeros.
    init(entries: [ParameterEntry], count: Int) {
        self.entries = entries
        values = .allocate(capacity: max(1, count))
        values.initialize(repeating: 0)
        index = Dictionary(entries.enumerated().map { ($1.name, $0) }) { first, _ in first }
    }

    deinit { values.deallocate() }

    public var count: Int { values.count }

    /// The tensor of this canonical name.
    public func entry(_ name: String) -> ParameterEntry? { index[name].map { entries[$0] } }

    /// The elements of one tensor.
    public func elements(of entry: ParameterEntry) -> UnsafeMutableBufferPointer<S> {
        UnsafeMutableBufferPointer(rebasing: values[entry.offset..<entry.offset + entry.count])
    }

    @inline(__always)
    func pointer(_ offset: Int) -> UnsafeMutablePointer<S> {
        // `allocate` above never gives an empty buffer.
        values.baseAddress.unsafelyUnwrapped + offset
    }
}

/// Gives out places in a parameter store while a backbone is described.
struct ParameterLayout {
    private(set) var entries: [ParameterEntry] = []
    private(set) var count = 0

    /// Room for one tensor; tensors that are added one after another lie side by side.
    mutating func add(_ name: String, _ shape: [Int]) -> Int {
        let entry = ParameterEntry(name: name, shape: shape, offset: count)
        entries.append(entry)
        count += entry.count
        return entry.offset
    }
}
