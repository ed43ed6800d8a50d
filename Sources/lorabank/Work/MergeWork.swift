import Adapters
import Bank
import Diagnostics
import Foundation
import Merging
import Settings
import WeightFiles

/// `merge`: recipe → plan → stages → a folder, a file, or an adapter of the bank.
struct MergeWork {
    let session: Session
    let allowUnapproved: Bool

    /// The file that stands beside a merged adapter and tells how it was made.
    static let provenanceName = "lorabank_provenance.json"

    /// Where the result goes.
    enum Target {
        case bank(name: String)
        case folder(String, replacing: Bool)
        case file(String, replacing: Bool)

        /// - Throws: `usage.bad_argument` when neither the command line nor the recipe says where to.
        init(name: String?, path: String?, recipe: Recipe, replacing: Bool) throws {
            if let path {
                self =
                    path.hasSuffix(".safetensors")
                    ? .file(path, replacing: replacing) : .folder(path, replacing: replacing)
            } else if let name = name ?? recipe.outputName {
                _ = try AdapterName.parse(name)
                self = .bank(name: name)
            } else {
                throw Failure(
                    .usageBadArgument, "nothing says where the result goes", hint: "add --name NAME or --to PATH")
            }
        }

        var name: String? { if case .bank(let name) = self { name } else { nil } }

        var path: String? {
            switch self {
            case .bank: nil
            case .folder(let path, _), .file(let path, _): path
            }
        }
    }

    func recipe(at path: String, _ overrides: [SettingOverride]) throws -> Recipe {
        try session.recipe(at: path, overrides: overrides)
    }

    func recipe(method: String, _ references: [String], _ overrides: [SettingOverride]) throws -> Recipe {
        try RecipeReader().inline(
            method: method, references: references, folder: FileManager.default.currentDirectoryPath,
            overrides: overrides)
    }

    func merge(
        _ recipe: Recipe, options: PlanOptions, to target: Target, tags: [String], dryRun: Bool
    ) throws -> MergeOutcome {
        let library = try session.library(allowUnapproved: allowUnapproved)
        let plan = try RecipePlanner(library: library, options: options).plan(recipe)
        session.show(plan)
        try notePending(plan)
        let tags =
            try tags.map(Tag.init(parsing:))
            + plan.result.output.tags.map { Tag(key: $0.key, value: $0.value) }.sorted()
        if dryRun { return MergeOutcome(plan: plan, record: nil, target: target, stored: nil, dryRun: true) }
        switch target {
        case .bank(let name):
            return try store(plan, as: name, tags: tags, target: target)
        case .folder(let path, let replacing) where plan.result.checkpoint != nil:
            let record = try execute(plan, to: .folder(path), replacing: replacing, keeping: nil)
            return MergeOutcome(plan: plan, record: record, target: target, stored: nil, dryRun: false)
        case .folder(let path, let replacing):
            let folder = try AtomicFolder(path: path, overwrite: replacing)
            let record = try execute(plan, to: .folder(folder.temporaryPath), keeping: folder.temporaryPath)
            try folder.commit()
            return MergeOutcome(plan: plan, record: record, target: target, stored: nil, dryRun: false)
        case .file(let path, let replacing):
            if !replacing, FileManager.default.fileExists(atPath: path) {
                throw Failure(
                    .outputExists, "it exists already", path: path, hint: "choose another path, or add --force")
            }
            let record = try execute(plan, to: .file(path), replacing: replacing, keeping: nil)
            return MergeOutcome(plan: plan, record: record, target: target, stored: nil, dryRun: false)
        }
    }

    /// The merged adapter without a place of its own: it lives as long as somebody holds it.
    func adapter(of recipe: Recipe, options: PlanOptions) throws -> Adapter {
        let library = try session.library(allowUnapproved: allowUnapproved)
        let plan = try RecipePlanner(library: library, options: options).plan(recipe)
        session.show(plan)
        try notePending(plan)
        return try adapter(of: plan)
    }

    /// The same with adapters that stand in no bank, and without remarks.
    func adapter(of recipe: Recipe, from library: some AdapterLibrary, options: PlanOptions) throws -> Adapter {
        try adapter(of: RecipePlanner(library: library, options: options).plan(recipe))
    }

    private func adapter(of plan: RecipePlan) throws -> Adapter {
        let folder = FileManager.default.temporaryDirectory.appending(path: "lorabank-\(UUID().uuidString)").path
        // The weights stay mapped after their name is gone.
        defer { try? FileManager.default.removeItem(atPath: folder) }
        _ = try execute(plan, to: .folder(folder), keeping: nil)
        return try AdapterReader.read(path: folder)
    }

    /// Merges into a workspace of the bank and enters the result with its lineage.
    private func store(_ plan: RecipePlan, as name: String, tags: [Tag], target: Target) throws -> MergeOutcome {
        guard plan.result.checkpoint == nil else {
            throw Failure(
                .usageBadArgument, "the result is a checkpoint, and a bank keeps adapters",
                hint: "add --to PATH; `lorabank extract` makes an adapter of it")
        }
        let bank = try session.bank(writing: true)
        let began = Timestamp.now()
        let workspace = try bank.workspace()
        let record = try execute(plan, to: .folder(workspace.folder), keeping: workspace.folder)
        let recipe = RecipeRecord(
            recipe: plan.resolved.text, recipeSHA: plan.resolved.digest.hex, program: MergeWork.program,
            seed: plan.result.seed, threads: plan.result.threads, startedAt: began, endedAt: Timestamp.now())
        let outcome = try workspace.commit(
            BankProduct(
                name: name, source: .merge, tags: tags, parents: parents(of: plan), recipe: recipe))
        return MergeOutcome(plan: plan, record: record, target: target, stored: outcome, dryRun: false)
    }

    private static let program = "lorabank \(LoRABank.version)"

    /// Runs the stages in order; results of inner stages live in a temporary folder until the last has run.
    func execute(
        _ plan: RecipePlan, to destination: MergeDestination, replacing: Bool = false, keeping folder: String?
    ) throws -> MergeRecord {
        let scratch = FileManager.default.temporaryDirectory.appending(path: "lorabank-\(UUID().uuidString)").path
        defer { try? FileManager.default.removeItem(atPath: scratch) }
        let digests = digests(plan, destination, keeping: folder)
        defer { digests?.stop() }
        var records: [MergeRecord] = []
        var results: [(stage: String, path: String, isCheckpoint: Bool)] = []
        for (index, stage) in plan.stages.enumerated() {
            let filled = try results.reduce(stage) { plan, result in
                result.isCheckpoint
                    ? plan.filling(stage: result.stage, with: try Checkpoint.require(path: result.path))
                    : plan.filling(stage: result.stage, with: try AdapterReader.read(path: result.path))
            }
            let isLast = index == plan.stages.count - 1
            let inner = "\(scratch)/\(index)"
            let record = try Interruption.cooperatively {
                try MergeEngine.run(
                    filled, to: isLast ? destination : .folder(inner), overwrite: isLast && replacing,
                    progress: session.progress,
                    completing: isLast ? { try keep(plan, records + [$1], digests, in: $0) } : nil,
                    isCancelled: { Interruption.isRequested })
            }
            records.append(record)
            for warning in record.warnings { session.warn(warning) }
            if !isLast { results.append((stage.name, inner, stage.checkpoint != nil)) }
        }
        if let folder { try Interruption.cooperatively { try keep(plan, records, digests, in: folder) } }
        return records[records.count - 1]
    }

    /// The digests of the input files, which are made while the merge runs; nil where no provenance is written.
    private func digests(
        _ plan: RecipePlan, _ destination: MergeDestination, keeping folder: String?
    ) -> CheckpointDigests? {
        var isKept = folder != nil
        if plan.result.checkpoint != nil, case .folder = destination { isKept = true }
        guard isKept else { return nil }
        return CheckpointDigests(of: plan, threads: session.threads) { Interruption.isRequested }
    }

    /// Writes how the result was made beside it.
    private func keep(
        _ plan: RecipePlan, _ records: [MergeRecord], _ digests: CheckpointDigests?, in folder: String
    ) throws {
        let plan = try digests?.entered(into: plan) ?? plan
        let provenance = Provenance(plan: plan, records: records, program: MergeWork.program)
        let text = provenance.json(includesTimes: false).text(.indented(2), asciiOnly: false) + "\n"
        try AtomicFile.write(Array(text.utf8), to: folder + "/" + MergeWork.provenanceName, overwrite: true)
    }

    /// Adapters outside the recipe's own stages, each once, in order of their first use.
    private func operands(of plan: RecipePlan) -> [(adapter: NamedAdapter, weight: Double?)] {
        var seen: Set<String> = []
        var result: [(NamedAdapter, Double?)] = []
        for stage in plan.stages {
            for (index, operand) in stage.operands.enumerated() where stage.pendingOperands[index] == nil {
                guard seen.insert(operand.object ?? operand.reference).inserted else { continue }
                let weights = Set(stage.modules.flatMap { $0.operands.filter { $0.operand == index }.map(\.weight) })
                result.append((operand, weights.count == 1 ? weights.first : nil))
            }
        }
        return result
    }

    private func parents(of plan: RecipePlan) -> [LineageParent] {
        operands(of: plan).map { LineageParent($0.adapter, weight: $0.weight) }
    }

    private func pendingParents(_ plan: RecipePlan) throws -> [String] {
        try operands(of: plan).compactMap { operand in
            guard let version = operand.adapter.version else { return nil }
            let row = try session.bank().row(for: "\(operand.adapter.name)@\(version)")
            return row.state == .pending ? row.reference : nil
        }
    }

    private func notePending(_ plan: RecipePlan) throws {
        let pending = try pendingParents(plan)
        guard !pending.isEmpty else { return }
        let names = pending.prefix(3).joined(separator: ", ") + (pending.count > 3 ? ", …" : "")
        session.note("\(pending.count) of the adapters are pending, nobody has approved them yet: \(names)")
    }
}
