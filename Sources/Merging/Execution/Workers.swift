import Dispatch
import Synchronization

/// Runs numbered pieces of work on a fixed number of threads.
struct Workers: Sendable {
    let threads: Int
    let isCancelled: @Sendable () -> Bool

    private struct State {
        var next = 0
        var failure: (index: Int, error: any Error)?
    }

    /// Calls `body` with 0..<count, each once. After an error no new piece starts; pieces start in order, so the error
    /// of the lowest index is the one that is thrown, whatever the number of threads.
    ///
    /// - Throws: `CancellationError` when `isCancelled` says so.
    func run(_ count: Int, _ body: @Sendable (Int) throws -> Void) throws {
        let state = Mutex(State())
        @Sendable func take() -> Int? {
            state.withLock { state in
                guard state.failure == nil, state.next < count else { return nil }
                defer { state.next += 1 }
                return state.next
            }
        }
        @Sendable func work() {
            while let index = take() {
                do {
                    if isCancelled() { throw CancellationError() }
                    try body(index)
                } catch {
                    state.withLock { state in
                        if (state.failure?.index ?? .max) > index { state.failure = (index, error) }
                    }
                }
            }
        }
        let width = max(1, min(threads, count))
        if width == 1 {
            work()
        } else {
            DispatchQueue.concurrentPerform(iterations: width) { _ in work() }
        }
        if let failure = state.withLock({ $0.failure }) { throw failure.error }
    }
}

/// Lets workers share a memory limit: who needs more than is left waits until others have given theirs back.
final class MemoryBudget: Sendable {
    private struct State {
        var used = 0
        var waiting: [(bytes: Int, turn: DispatchSemaphore)] = []
    }

    private let limit: Int
    private let state = Mutex(State())

    init(limit: Int) { self.limit = limit }

    /// Runs `body` while `bytes` are reserved. A request above the whole limit runs alone.
    func reserving<Result>(_ bytes: Int, _ body: () throws -> Result) rethrows -> Result {
        let turn = DispatchSemaphore(value: 0)
        let wait = state.withLock { state in
            guard state.waiting.isEmpty, fits(bytes, state.used) else {
                state.waiting.append((bytes, turn))
                return true
            }
            state.used += bytes
            return false
        }
        if wait { turn.wait() }
        defer { giveBack(bytes) }
        return try body()
    }

    private func fits(_ bytes: Int, _ used: Int) -> Bool { used == 0 || used + bytes <= limit }

    private func giveBack(_ bytes: Int) {
        state.withLock { state in
            state.used -= bytes
            while let first = state.waiting.first, fits(first.bytes, state.used) {
                state.waiting.removeFirst()
                state.used += first.bytes
                first.turn.signal()
            }
        }
    }
}
