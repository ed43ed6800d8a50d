import Foundation
import Synchronization

/// Where tests let the program die or the disk fill up. Does nothing in release builds.
///
/// Every file-system call that changes something is followed by `pass`. In a debug build
/// `LORABANK_CRASH_AT=n` kills the process with SIGKILL at the n-th point (from 1), and `LORABANK_FAIL_WRITE_AT=n`
/// makes the n-th write fail as if the disk were full. Tests run a command with n = 1, 2, … until it survives.
public enum FaultPoint {
    #if DEBUG
        private static let crashAt = number("LORABANK_CRASH_AT")
        private static let failWriteAt = number("LORABANK_FAIL_WRITE_AT")
        private static let passed = Atomic<Int>(0)
        private static let written = Atomic<Int>(0)

        /// A plan for the current task alone, so that tests in one process do not disturb one another.
        @TaskLocal static var localPlan: FaultPlan?

        private static func number(_ variable: String) -> Int? {
            ProcessInfo.processInfo.environment[variable].flatMap { Int($0) }
        }
    #endif

    /// One call has been made. `name` says which, for people who trace.
    @inline(__always)
    public static func pass(_ name: StaticString) {
        #if DEBUG
            localPlan?.pass(name)
            guard let crashAt else { return }
            if passed.add(1, ordering: .relaxed).newValue == crashAt { kill(getpid(), SIGKILL) }
        #endif
    }

    /// True when the write that is about to be made shall fail with `ENOSPC`.
    @inline(__always)
    public static func failsWrite() -> Bool {
        #if DEBUG
            if let localPlan { return localPlan.failsWrite() }
            guard let failWriteAt else { return false }
            return written.add(1, ordering: .relaxed).newValue == failWriteAt
        #else
            return false
        #endif
    }
}

#if DEBUG
    /// Counts the points and writes of one task and lets one write fail.
    final class FaultPlan: Sendable {
        private let failWriteAt: Int?
        private let written = Atomic<Int>(0)
        private let names = Mutex<[String]>([])

        init(failWriteAt: Int? = nil) { self.failWriteAt = failWriteAt }

        func pass(_ name: StaticString) { names.withLock { $0.append(name.description) } }

        func failsWrite() -> Bool { written.add(1, ordering: .relaxed).newValue == failWriteAt }

        /// Names of the points passed so far.
        var trace: [String] { names.withLock { $0 } }

        var writes: Int { written.load(ordering: .relaxed) }
    }
#endif
