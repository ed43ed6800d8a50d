import Bank
import Diagnostics
import Evaluation
import Foundation

/// The names that a session's bank knows, and those of what ships with the program.
struct SessionResources: SuiteResources {
    private let bank: Bank?

    /// - Throws: what opening the bank throws when one was named.
    init(_ session: Session) throws {
        do { bank = try session.bank() } catch let failure as Failure
            where failure.code == .bankMissing && session.options.bank == nil
        { bank = nil }
    }

    func backboneFolder(_ name: String) throws -> String? { try folder(.backbone, name) }
    func dataFolder(_ name: String) throws -> String? { try folder(.data, name) }
    var backboneNames: [String] { names(.backbone) }
    var dataNames: [String] { names(.data) }

    /// A name of the bank wins over one of the starter.
    func folder(_ kind: BankResource.Kind, _ name: String) throws -> String? {
        if let found = try bank?.resource(kind, named: name) { return found.folder }
        guard StarterFolder.names(kind).contains(name) else { return nil }
        return StarterFolder(bank: bank?.folder)?.folder(kind, name)
    }

    private func names(_ kind: BankResource.Kind) -> [String] {
        ((try? bank?.resources(kind)) ?? []).map(\.name) + StarterFolder.names(kind)
    }
}
