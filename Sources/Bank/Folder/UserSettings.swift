import Diagnostics
import Foundation

/// What `~/.config/lorabank/config.toml` (or `$XDG_CONFIG_HOME/lorabank/config.toml`) says: a user's defaults, the weakest
/// of all settings.
///
/// ```toml
/// bank = "/data/bank"
/// threads = 8
/// color = "never"
/// progress = "none"
/// lock_timeout = 30
/// ```
public struct UserSettings: Sendable, Hashable {
    /// Where the settings were read; nil without a file.
    public var path: String?
    public var bank: String?
    public var threads: Int?
    /// `auto`, `always`, `never`.
    public var color: String?
    /// `auto`, `json`, `none`.
    public var progress: String?
    /// Seconds.
    public var lockTimeout: Int?

    public init() {}

    /// Reads the user's file; no file means no settings.
    ///
    /// - Throws: `usage.bad_argument` with the line for anything that is not understood.
    public init(environment: [String: String]) throws {
        let home = environment["XDG_CONFIG_HOME"].flatMap { $0.isEmpty ? nil : $0 }
        guard let folder = home ?? environment["HOME"].map({ $0 + "/.config" }), folder.hasPrefix("/") else { return }
        let path = folder + "/lorabank/config.toml"
        guard let data = FileManager.default.contents(atPath: path) else { return }
        var table = try SettingsTable(parsing: String(decoding: data, as: UTF8.self), path: path)
        self.path = path
        bank = try table.text("bank")
        threads = try table.integer("threads", in: 1...1024)
        color = try table.choice("color", of: ["auto", "always", "never"])
        progress = try table.choice("progress", of: ["auto", "json", "none"])
        lockTimeout = try table.integer("lock_timeout", in: 0...86_400)
        try table.refuseUnknownKeys()
    }
}
