import Adapters
import Bank
import Diagnostics
import Foundation

extension Session {
    /// The adapters that references on the command line name, in order, whatever their state: for looking at them. What
    /// uses adapters asks `library`, which applies the policy.
    ///
    /// - Throws: what resolving and reading throw.
    func adapters(named references: [String]) throws -> [NamedAdapter] {
        try references.flatMap { reference in
            guard let rows = try catalogued(reference) else {
                return try PathLibrary().adapters(
                    for: reference, relativeTo: FileManager.default.currentDirectoryPath)
            }
            let bank = try bank()
            return try rows.map { row in
                NamedAdapter(
                    name: row.name, version: row.version, object: row.object,
                    reference: rows.count == 1 ? reference : row.reference,
                    adapter: try bank.adapter(of: row))
            }
        }
    }

    /// What the bank keeps about adapters that were read from it; nothing about those from elsewhere.
    ///
    /// - Parameter labels: what to call the adapters, one each.
    func metrics(of adapters: [NamedAdapter], labels: [String]) throws -> AdapterMetrics {
        AdapterMetrics(
            try zip(adapters, labels).map { adapter, label in
                let metrics = try adapter.version.map { try bank().metrics(of: "\(adapter.name)@\($0)") }
                return .init(name: label, metrics: metrics ?? [])
            })
    }

    /// The rows of the bank that a reference names; nil when it is a path.
    ///
    /// A name of the catalogue wins over a path of the same spelling, unless it begins with `/`, `./`, `../` or `path:`.
    /// Without a bank, everything but tags and ids is a path.
    func catalogued(_ reference: String) throws -> [AdapterRow]? {
        if ["/", "./", "../", "path:"].contains(where: reference.hasPrefix) || reference == "." { return nil }
        let exists = FileManager.default.fileExists(atPath: reference)
        let needsBank = settings.bank.value != nil || ["tag:", "id:"].contains(where: reference.hasPrefix)
        do {
            return try bank().rows(for: reference)
        } catch let failure as Failure where failure.code == .referenceNotFound && exists {
            return nil
        } catch let failure as Failure where failure.code == .bankMissing && (exists || !needsBank) {
            return nil
        }
    }
}
