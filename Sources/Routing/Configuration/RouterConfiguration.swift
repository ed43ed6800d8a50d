import Settings

/// A router configuration as its YAML file says it (product contract, section 6).
public struct RouterConfiguration: Sendable {
    /// How experts stand for tasks.
    public enum Domains: Sendable, Hashable {
        /// The expert of a task has its name.
        case byName
        /// The adapters that carry `key=<task>`.
        case tag(String)
        /// Task → reference.
        case named([String: String])
    }

    /// Experts that the training makes, one per task, instead of experts from files.
    public struct NewExperts: Sendable, Hashable {
        public var rank = 8
        public var alpha = 16.0
        /// Names of sites: `q`, `v`, `in`.
        public var sites: [String] = []
    }

    public var name: String
    /// Path of the suite, relative to `folder`.
    public var suite: Located<String>
    public var experts: [Located<String>]
    public var newExperts: NewExperts?
    public var domains: Domains
    /// Number of training samples, class shares as equal as they can be; nil: all.
    public var samples: Int?
    public var setup: RouterSetup
    public var folder: String
    public var path: String?

    /// Paths as they are meant: relative to the configuration.
    public func resolved(_ text: String) -> String {
        text.hasPrefix("/") || folder.isEmpty ? text : folder + "/" + text
    }
}
