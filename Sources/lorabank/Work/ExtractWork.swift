import Bank
import Diagnostics
import Foundation
import Merging
import Reports
import WeightFiles

/// `extract`: an adapter from the difference of two checkpoints, in a folder or in the bank.
struct ExtractWork {
    let session: Session
    let base: String
    let tuned: String
    let baseName: String?

    struct Outcome {
        var record: MergeRecord
        var path: String?
        var stored: ImportOutcome?

        var document: JSONValue {
            let output = JSONValue.object([
                .init("name", .optional(stored?.name)), .init("version", .optional(stored?.version)),
                .init("object", .optional(stored?.object)), .init("path", .optional(path)),
            ])
            let modules = record.modules.map { module in
                JSONValue.object([
                    .init("name", .string(module.name)), .init("rank_in", .integer(module.rankIn)),
                    .init("rank_out", .integer(module.rankOut)),
                    .init("discarded_energy", .double(module.discardedEnergy)),
                    .init("frobenius", .double(module.frobenius)), .init("method", .string(module.method)),
                ])
            }
            return .document(
                "extract",
                [
                    .init("output", output), .init("modules", .array(modules)),
                    .init("saved_tensors", .texts(record.savedTensors)), .init("warnings", .texts(record.warnings)),
                    .init("dtype", .string(record.dtype.rawValue)), .init("bytes", .integer(record.bytes)),
                    .init("seconds", .double(record.seconds)),
                ])
        }

        func text(_ session: Session) -> String {
            let ranks = record.modules.map(\.rankOut)
            let discarded = record.modules.map(\.discardedEnergy).max() ?? 0
            var text =
                "extracted \(session.shown(stored?.row.reference ?? path ?? "")): \(record.modules.count) modules"
            if let low = ranks.min(), let high = ranks.max() { text += ", rank \(AdapterTable.rank(low, high))" }
            if !record.savedTensors.isEmpty { text += ", \(record.savedTensors.count) whole tensors" }
            text += ", \(record.dtype.rawValue), \(Quantities.bytes(record.bytes)), "
            text += "\(Quantities.duration(seconds: record.seconds))\n"
            text += "  at most \(Quantities.significant(discarded * 100)) % of a module's energy discarded\n"
            return text
        }
    }

    /// `16`, `energy:0.99`, `tail:0.1` (or with `=`), `auto`, `keep`.
    ///
    /// - Throws: `usage.bad_argument`.
    static func rank(_ text: String) throws -> OutputRank {
        if let number = Int(text), number >= 1 { return .fixed(number) }
        if text == "keep" { return .keep }
        if text == "auto" { return .auto }
        let parts = text.split(whereSeparator: { $0 == ":" || $0 == "=" }).map(String.init)
        if parts.count == 2, let share = Double(parts[1]), share > 0, share <= 1 {
            if parts[0] == "energy" { return .energy(share) }
            if parts[0] == "tail" { return .tail(share) }
        }
        throw Failure(
            .usageBadArgument, "'\(text)' is no rank", hint: "a whole number, energy:0.99, tail:0.1, auto or keep")
    }

    func extract(
        _ options: Extraction.Options, name: String?, to path: String?, tags: [String], replacing: Bool
    ) throws -> Outcome {
        let base = try Checkpoint.require(path: base)
        let tuned = try Checkpoint.require(path: tuned)
        var options = options
        options.baseName = baseName ?? ExtractWork.configuredName(base) ?? self.base
        guard let name else {
            let path = path ?? ""
            let destination: MergeDestination = path.hasSuffix(".safetensors") ? .file(path) : .folder(path)
            return Outcome(record: try run(base, tuned, options, destination, replacing), path: path)
        }
        _ = try AdapterName.parse(name)
        let tags = try tags.map(Tag.init(parsing:))
        let workspace = try session.bank(writing: true).workspace()
        let record = try run(base, tuned, options, .folder(workspace.folder), false)
        let stored = try workspace.commit(BankProduct(name: name, source: .merge, tags: tags))
        return Outcome(record: record, stored: stored)
    }

    private func run(
        _ base: Checkpoint, _ tuned: Checkpoint, _ options: Extraction.Options, _ destination: MergeDestination,
        _ replacing: Bool
    ) throws -> MergeRecord {
        let record = try Interruption.cooperatively {
            try Extraction.run(
                base: base, tuned: tuned, options: options, to: destination, overwrite: replacing,
                progress: session.progress, isCancelled: { Interruption.isRequested })
        }
        for warning in record.warnings { session.warn(warning) }
        return record
    }

    /// `_name_or_path` of the base's configuration, unless it is a path of another machine.
    private static func configuredName(_ base: Checkpoint) -> String? {
        guard let folder = base.folder, let bytes = FileManager.default.contents(atPath: folder + "/config.json"),
            let name = (try? StrictJSON.parse(Array(bytes), .configuration))?["_name_or_path"]?.string, !name.isEmpty,
            !name.hasPrefix("/"), !name.hasPrefix(".")
        else { return nil }
        return name
    }
}
