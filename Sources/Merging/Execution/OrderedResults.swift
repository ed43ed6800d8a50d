import Synchronization

/// Results of numbered pieces of work, set from any thread, read in order of the numbers.
final class OrderedResults<Value: Sendable>: Sendable {
    private let values: Mutex<[Value?]>

    init(count: Int) { values = Mutex([Value?](repeating: nil, count: count)) }

    func set(_ value: Value, at index: Int) { values.withLock { $0[index] = value } }

    /// All values that were set.
    var all: [Value] { values.withLock { $0.compactMap { $0 } } }
}
