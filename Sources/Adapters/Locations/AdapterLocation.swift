import Diagnostics

/// Something on disk that can be read as one adapter.
public struct AdapterLocation: Hashable, Sendable {
    public enum Form: String, Hashable, Sendable {
        /// A folder that holds the configuration and the weights.
        case folder
        /// A tar or zip file, compressed or not; see ``AdapterArchive``.
        case archive
        /// One weight file without a configuration.
        case file
    }

    /// As the user named it, or that name with the path below it.
    public let path: String
    public let form: Form

    public init(path: String, form: Form) {
        self.path = path
        self.form = form
    }

    /// The last path component without the extensions of weight files and archives: a proposal for a name.
    public var name: String { AdapterLocation.name(of: path) }
}
