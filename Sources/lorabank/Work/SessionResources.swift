import Bank
import Diagnostics
import Evaluation
import Foundation

/// The names that a session's bank knows; without a bank there are none.
struct SessionResources: SuiteResources {
    private let bank: Bank?
    /// What ships with the program stands in the bank's folder.
    private static let starter = "starter"

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

    private func folder(_ kind: BankResource.Kind, _ name: String) throws -> String? {
        if let found = try bank?.resource(kind, named: name) { return found.folder }
        guard name == Self.starter, let bank else { return nil }
        let shipped = "\(bank.folder)/starter/\(kind.rawValue)"
        return FileManager.default.fileExists(atPath: shipped) ? shipped : nil
    }

    private func names(_ kind: BankResource.Kind) -> [String] {
        ((try? bank?.resources(kind)) ?? []).map(\.name)
    }
}
