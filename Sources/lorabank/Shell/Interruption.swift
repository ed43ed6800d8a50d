import Diagnostics
import Foundation
import Synchronization

/// What happens on Ctrl-C (exit 130), SIGTERM (143) and a closed pipe (141).
///
/// Work that can stop by itself is given two seconds for it. Then everything that stands under a temporary name is removed;
/// whatever is visible under its final name is whole.
enum Interruption {
    private static let status = Atomic<Int32>(0)
    private static let cooperating = Atomic<Bool>(false)
    /// Kept alive for the life of the process; written once, before any other thread exists.
    nonisolated(unsafe) private static var sources: [any DispatchSourceSignal] = []

    /// True once a signal has come; long work asks this.
    static var isRequested: Bool { status.load(ordering: .relaxed) != 0 }

    static func install() {
        signal(SIGPIPE, SIG_IGN)
        for (number, status) in [(SIGINT, Int32(130)), (SIGTERM, 143)] where !isIgnored(number) {
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number, queue: .global(qos: .userInteractive))
            source.setEventHandler { received(status) }
            source.resume()
            sources.append(source)
        }
    }

    /// Runs work that asks `isRequested` and then ends by throwing `CancellationError`.
    static func cooperatively<Result>(_ work: () throws -> Result) rethrows -> Result {
        cooperating.store(true, ordering: .relaxed)
        defer { cooperating.store(false, ordering: .relaxed) }
        return try work()
    }

    /// Ends the program with the status of the signal that came.
    static func endNow() -> Never {
        let known = status.load(ordering: .relaxed)
        UnfinishedPaths.shared.removeAll()
        if StandardStream.error.isTerminal { StandardStream.error.write("\r\u{1B}[Kinterrupted\n") }
        _exit(known == 0 ? 130 : known)
    }

    private static func received(_ new: Int32) {
        let isFirst = status.exchange(new, ordering: .relaxed) == 0
        guard isFirst, cooperating.load(ordering: .relaxed) else { endNow() }
        DispatchQueue.global().asyncAfter(deadline: .now() + 2) { endNow() }
    }

    /// A shell starts background jobs with SIGINT ignored; that is kept.
    private static func isIgnored(_ number: Int32) -> Bool {
        var action = sigaction()
        guard sigaction(number, nil, &action) == 0 else { return false }
        return unsafeBitCast(action.__sigaction_handler.sa_handler, to: Int.self) == 1
    }
}
