/// Where long work reports how far it is. Implementations decide whether and how to draw it.
///
/// All members may be called from any thread.
public protocol ProgressReporting: Sendable {
    /// A new piece of work begins. `total` is in `unit`s (`"modules"`, `"bytes"`, `"samples"`), nil when unknown.
    func begin(_ title: String, total: Int64?, unit: String)
    /// `amount` more units are done.
    func advance(by amount: Int64)
    /// Replaces the note shown behind the numbers (`"loss 0.41"`).
    func note(_ text: String)
    /// The piece of work that `begin` named is over.
    func end()
}

/// Reports nothing.
public struct SilentProgress: ProgressReporting {
    public init() {}
    public func begin(_ title: String, total: Int64?, unit: String) {}
    public func advance(by amount: Int64) {}
    public func note(_ text: String) {}
    public func end() {}
}
