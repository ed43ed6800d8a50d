import Diagnostics
import Foundation
import WeightFiles

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

/// One setting with its value and where it comes from.
struct Setting {
    let name: String
    let value: String
    /// `option`, `environment`, `lorabank.toml`, `default`.
    let origin: String

    var json: JSONValue {
        .object([.init("name", .string(name)), .init("value", .string(value)), .init("origin", .string(origin))])
    }
}

extension Settings {
    /// Every setting (`status --settings`).
    static func all(_ session: Session) -> [Setting] {
        let options = session.options
        let environment = session.environment
        func origin(_ option: Bool, _ variable: String?) -> String {
            if option { return "option" }
            return variable.flatMap { environment[$0] }.map { !$0.isEmpty } == true ? "environment" : "default"
        }
        var settings = [
            Setting(
                name: "bank", value: (try? session.bankFolder()) ?? "none",
                origin: origin(options.bank != nil, "LORABANK_BANK")),
            Setting(
                name: "threads", value: "\(session.threads)", origin: origin(options.threads != nil, "LORABANK_THREADS")
            ),
            Setting(
                name: "lock-timeout", value: "\(options.lockTimeout)", origin: origin(options.lockTimeout != 10, nil)),
            Setting(name: "color", value: options.color.rawValue, origin: origin(options.color != .auto, nil)),
            Setting(name: "progress", value: options.progress.rawValue, origin: origin(options.progress != .auto, nil)),
        ]
        if let bank = try? session.bank() {
            settings.append(Setting(name: "policy", value: bank.policy.mode.rawValue, origin: "lorabank.toml"))
            settings.append(
                Setting(
                    name: "max-adapter-bytes", value: "\(bank.settings.limits.maxAdapterBytes)", origin: "lorabank.toml"
                ))
        }
        return settings
    }
}
