import Adapters
import Bank
import Foundation

extension Session {
    /// The adapters that references on the command line name, in order.
    ///
    /// - Throws: what resolving, the policy and reading throw.
    func operands(_ references: [String], allowUnapproved: Bool = false) throws -> [NamedAdapter] {
        let library = try library(allowUnapproved: allowUnapproved)
        return try references.flatMap {
            try library.adapters(for: $0, relativeTo: FileManager.default.currentDirectoryPath)
        }
    }
}
