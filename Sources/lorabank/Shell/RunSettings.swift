import Bank
import Diagnostics
import Foundation
import WeightFiles

/// The settings of one run, each from the first place that has it: options, LORABANK_* variables, the user's file,
/// defaults. What `lorabank.toml` of the bank sets (policy, limits) stands in no other place.
struct RunSettings {
    /// `option`, `environment`, `user file`, `default`.
    typealias Sourced<Value> = (value: Value, origin: String)

    let bank: Sourced<String?>
    let threads: Sourced<Int>
    let color: Sourced<GlobalOptions.Colour>
    let progress: Sourced<GlobalOptions.Progress>
    let lockTimeout: Sourced<Double>

    /// - Throws: `usage.bad_argument` for impossible values.
    init(_ options: GlobalOptions, environment: [String: String]) throws {
        let user = try UserSettings(environment: environment)
        let named = environment["LORABANK_BANK"].flatMap { $0.isEmpty ? nil : $0 }
        bank = RunSettings.first(options.bank, named, user.bank) ?? (nil, "default")
        let counted = environment["LORABANK_THREADS"].flatMap { $0.isEmpty ? nil : $0 }
        let threads =
            try RunSettings.first(
                options.threads.map { try RunSettings.checked($0, "--threads") },
                counted.map { try RunSettings.checked(Int($0), "LORABANK_THREADS") }, user.threads)
        self.threads = threads ?? (min(64, max(1, ProcessInfo.processInfo.activeProcessorCount)), "default")
        color =
            RunSettings.first(options.color, nil, user.color.flatMap(GlobalOptions.Colour.init)) ?? (.auto, "default")
        progress =
            RunSettings.first(options.progress, nil, user.progress.flatMap(GlobalOptions.Progress.init))
            ?? (.auto, "default")
        let lockTimeout =
            RunSettings.first(options.lockTimeout, nil, user.lockTimeout.map(Double.init)) ?? (10, "default")
        guard lockTimeout.value >= 0, lockTimeout.value.isFinite else {
            throw Failure(.usageBadArgument, "--lock-timeout takes a number of seconds, 0 or more")
        }
        self.lockTimeout = lockTimeout
    }

    private static func first<Value>(_ option: Value?, _ variable: Value?, _ user: Value?) -> Sourced<Value>? {
        if let option { return (option, "option") }
        if let variable { return (variable, "environment") }
        return user.map { ($0, "user file") }
    }

    private static func first(_ option: String?, _ variable: String?, _ user: String?) -> Sourced<String?>? {
        if let option { return (option, "option") }
        if let variable { return (variable, "environment") }
        return user.map { ($0, "user file") }
    }

    private static func checked(_ value: Int?, _ name: String) throws -> Int {
        guard let value, (1...1024).contains(value) else {
            throw Failure(.usageBadArgument, "\(name) takes a whole number from 1 to 1024")
        }
        return value
    }
}

/// One setting as `status --settings` shows it.
struct SettingRow {
    let name: String
    let value: String
    let origin: String

    var json: JSONValue {
        .object([.init("name", .string(name)), .init("value", .string(value)), .init("origin", .string(origin))])
    }

    /// Every setting, those of the bank included when there is one.
    static func all(_ session: Session) -> [SettingRow] {
        let settings = session.settings
        let folder = try? session.bankFolder()
        let search = folder == nil ? "default" : "folder above"
        var rows = [
            SettingRow(
                name: "bank", value: folder ?? "none",
                origin: settings.bank.value == nil ? search : settings.bank.origin),
            SettingRow(name: "threads", value: "\(settings.threads.value)", origin: settings.threads.origin),
            SettingRow(name: "color", value: settings.color.value.rawValue, origin: settings.color.origin),
            SettingRow(name: "progress", value: settings.progress.value.rawValue, origin: settings.progress.origin),
            SettingRow(
                name: "lock-timeout", value: "\(settings.lockTimeout.value)", origin: settings.lockTimeout.origin),
        ]
        if folder != nil, let bank = try? session.bank() {
            let limits = bank.settings.limits
            rows += [
                SettingRow(name: "policy", value: bank.policy.mode.rawValue, origin: "lorabank.toml"),
                SettingRow(name: "max-adapter-bytes", value: "\(limits.maxAdapterBytes)", origin: "lorabank.toml"),
                SettingRow(name: "max-archive-entries", value: "\(limits.maxArchiveEntries)", origin: "lorabank.toml"),
            ]
        }
        return rows
    }
}
