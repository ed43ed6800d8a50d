import Diagnostics
import Foundation

/// Settings that may come from options or from the environment, with their origin (`status --settings`).
enum Settings {
    /// - Throws: `usage.bad_argument`.
    static func threads(_ options: GlobalOptions, _ environment: [String: String]) throws -> Int {
        if let threads = options.threads { return try checked(threads, "--threads") }
        if let text = environment["LORABANK_THREADS"], !text.isEmpty {
            return try checked(Int(text), "LORABANK_THREADS")
        }
        return min(64, max(1, ProcessInfo.processInfo.activeProcessorCount))
    }

    private static func checked(_ value: Int?, _ name: String) throws -> Int {
        guard let value, (1...1024).contains(value) else {
            throw Failure(.usageBadArgument, "\(name) takes a whole number from 1 to 1024")
        }
        return value
    }
}
