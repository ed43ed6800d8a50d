import Dispatch
import Foundation
import Synchronization

/// Runs numbered pieces of work on several threads; which thread runs which piece must not matter.
enum Parallel {
    private final class Counter: Sendable {
        let next = Atomic<Int>(0)
    }

    /// Threads that passes use when the caller does not say.
    static var defaultThreads: Int { ProcessInfo.processInfo.activeProcessorCount }

    static func forEach(_ count: Int, threads: Int, _ body: @Sendable (Int) -> Void) {
        let workers = min(count, threads)
        guard workers > 1 else {
            for index in 0..<count { body(index) }
            return
        }
        let counter = Counter()
        DispatchQueue.concurrentPerform(iterations: workers) { _ in
            while true {
                let index = counter.next.wrappingAdd(1, ordering: .relaxed).oldValue
                if index >= count { return }
                body(index)
            }
        }
    }
}

/// Workspaces that are not in use, kept for the next pass.
final class WorkspacePool<S: NetworkScalar>: Sendable {
    private struct Free: @unchecked Sendable {
        var list: [Workspace<S>] = []
        var largestTape = 0
    }

    private let free = Mutex(Free())

    func take() -> Workspace<S> {
        let found = free.withLock { UncheckedBox(value: $0.list.popLast()) }
        return found.value ?? Workspace()
    }

    func give(_ workspace: Workspace<S>) {
        workspace.releaseAll()
        let box = UncheckedBox(value: workspace)
        free.withLock {
            $0.list.append(box.value)
            $0.largestTape = max($0.largestTape, box.value.tape.peak)
        }
    }

    /// Bytes of the fullest tape of all workspaces that were given back.
    var largestTape: Int { free.withLock { $0.largestTape } * MemoryLayout<S>.stride }
}

/// Carries a value between threads where the surrounding code guarantees that only one uses it.
struct UncheckedBox<Value>: @unchecked Sendable {
    let value: Value
}

/// Memory that several threads write to at disjoint places.
struct SharedPointer<S>: @unchecked Sendable {
    let base: UnsafeMutablePointer<S>
}
