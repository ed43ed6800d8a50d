import Adapters
import Diagnostics
import Foundation
import Merging
import WeightFiles

extension MergeWork {
    /// What `merge --verify` found.
    struct Verification {
        /// The result that was looked at.
        var subject: String
        /// SHA-256 of each weight file, by name: as it is, and as the recipe gives it now.
        var files: [(name: String, stored: String?, repeated: String?)]
        var seconds: Double

        var holds: Bool { !files.isEmpty && files.allSatisfy { $0.stored != nil && $0.stored == $0.repeated } }

        var document: JSONValue {
            .document(
                "merge-verify",
                [
                    .init("subject", .string(subject)), .init("verified", .bool(holds)),
                    .init(
                        "files",
                        .array(
                            files.map { file in
                                .object([
                                    .init("name", .string(file.name)), .init("stored", .optional(file.stored)),
                                    .init("repeated", .optional(file.repeated)),
                                ])
                            })), .init("seconds", .double(seconds)),
                ])
        }

        func text(_ session: Session) -> String {
            let lines = files.map { file in
                "  \(session.shown(file.name))  \((file.stored ?? "missing").prefix(12))  "
                    + (file.stored == file.repeated ? "equal" : "differs: \((file.repeated ?? "missing").prefix(12))")
                    + "\n"
            }
            return "\(session.shown(subject)) \(holds ? "is" : "is not") what the recipe gives\n" + lines.joined()
        }
    }

    /// Merges again into a temporary folder and compares the SHA-256 of the weight files with those of the result at
    /// `target`. Nothing is written.
    ///
    /// - Throws: `merge.not_reproduced` when a file differs, and what merging and reading throw.
    func verify(_ recipe: Recipe, options: PlanOptions, target: Target) throws -> Verification {
        let library = try session.library(allowUnapproved: allowUnapproved)
        let plan = try RecipePlanner(library: library, options: options).plan(recipe)
        let isCheckpoint = plan.result.checkpoint != nil
        let stored = try storedDigests(target, isCheckpoint: isCheckpoint)
        let scratch = FileManager.default.temporaryDirectory.appending(path: "lorabank-\(UUID().uuidString)").path
        defer { try? FileManager.default.removeItem(atPath: scratch) }
        let path = target.path.map { $0.hasSuffix(".safetensors") } ?? false
        let place = path ? scratch + "/" + PathName.last(target.path ?? "") : scratch
        if path { try FileManager.default.createDirectory(atPath: scratch, withIntermediateDirectories: true) }
        let record = try execute(plan, to: path ? .file(place) : .folder(place), keeping: nil)
        let repeated = try isCheckpoint ? checkpointDigests(place) : adapterDigests(place)
        let names = Set(stored.digests.keys).union(repeated.keys).sorted()
        let result = Verification(
            subject: stored.subject, files: names.map { ($0, stored.digests[$0], repeated[$0]) },
            seconds: record.seconds)
        guard result.holds else {
            let wrong = result.files.filter { $0.stored != $0.repeated }.map(\.name).joined(separator: ", ")
            throw Failure(
                .mergeNotReproduced, "the recipe does not give this result: \(wrong) differs", path: stored.subject,
                hint: "compare recipe, seed and program version in its provenance with what you have now")
        }
        return result
    }

    private func storedDigests(
        _ target: Target, isCheckpoint: Bool
    ) throws -> (subject: String, digests: [String: String]) {
        switch target {
        case .bank(let name):
            let row = try session.bank().row(for: name)
            let adapter = try session.bank().adapter(of: row)
            return (row.reference, adapter.fileDigests.mapValues(\.hex))
        case .folder(let path, _), .file(let path, _):
            return (path, try isCheckpoint ? checkpointDigests(path) : adapterDigests(path))
        }
    }

    private func adapterDigests(_ path: String) throws -> [String: String] {
        let file = path.hasSuffix(".safetensors") ? path : path + "/" + PEFTWriter.weightsName
        let weights = try SafetensorsFile(path: file)
        return [PathName.last(file): weights.content.digest().hex]
    }

    private func checkpointDigests(_ path: String) throws -> [String: String] {
        let files = try Checkpoint.require(path: path).weights.files
        return Dictionary(files.map { ($0.name, $0.content.digest().hex) }) { first, _ in first }
    }
}

/// The last component of a path.
enum PathName {
    static func last(_ path: String) -> String { URL(fileURLWithPath: path).lastPathComponent }
}
