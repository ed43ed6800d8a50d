import Diagnostics
import Foundation
import GRDB
import Governance

/// One step back: what `undo` does to revert a part of an operation. Stored as JSON in the table `operation`.
enum InverseStep: Codable, Hashable {
    case removeTag(adapter: Int64, key: String, value: String)
    case addTag(adapter: Int64, key: String, value: String)
    case removeNote(adapter: Int64, note: Int64)
    /// Points an alias at an adapter again; nil: removes the alias.
    case setAlias(namespace: String, name: String, alias: String, adapter: Int64?)
    /// Brings a removed adapter back.
    case restore(adapter: Int64)
    /// Takes an imported adapter out again.
    case remove(adapter: Int64)
    /// Takes back one decision.
    case setState(adapter: Int64, state: ApprovalState, approval: Int64)

    static func text(_ steps: [InverseStep]) throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        do { return String(decoding: try encoder.encode(steps), as: UTF8.self) } catch {
            throw Failure(.internalDefect, "cannot write the way back of an operation: \(error)")
        }
    }

    static func steps(from text: String) throws -> [InverseStep] {
        do { return try JSONDecoder().decode([InverseStep].self, from: Data(text.utf8)) } catch {
            throw Failure(.bankCorrupt, "the journal holds an operation that cannot be read")
        }
    }
}
