import Adapters
import Diagnostics
import Digests
import WeightFiles

/// How a merged adapter came to be (merge-methods 7.5): enough to make it again and to see what happened.
public struct Provenance: Sendable {
    public static let schema = "lorabank.provenance/1"

    /// An adapter that took part.
    public struct Input: Sendable {
        public var name: String
        public var version: Int?
        public var object: String?
        public var reference: String
        /// SHA-256 of the weight files by name.
        public var files: [String: SHA256Digest]
    }

    /// One stage that ran.
    public struct Stage: Sendable {
        public var name: String
        public var method: String
        public var compatibility: Compatibility
        public var seed: UInt64?
        public var inputs: [Input]
        /// The base that updates were added to, or that DoRA updates were formed with; nil for other merges.
        public var base: Input?
        /// Values of the methods' parameters that the recipe leaves to the program, by method.
        public var defaults: [String: [String: ParameterValue]]
        public var record: MergeRecord
        public var omittedModules: [String]
        public var notes: [PlanNote]
    }

    /// `lorabank 1.2.0`
    public var program: String
    public var recipe: ResolvedRecipe
    /// In order of execution; the last one gave the result.
    public var stages: [Stage]
    public var notes: [PlanNote]
    /// Wall time of all stages.
    public var seconds: Double

    /// - Parameters:
    ///   - records: what each stage of the plan did, same order.
    ///   - program: name and version, e.g. `lorabank 1.2.0`.
    public init(
        plan: RecipePlan, records: [MergeRecord], program: String, registry: MethodRegistry = .standard
    ) {
        self.program = program
        recipe = plan.resolved
        notes = plan.notes
        seconds = records.reduce(0) { $0 + $1.seconds }
        stages = zip(plan.stages, records).map { stage, record in
            Stage(
                name: stage.name, method: Provenance.mainMethod(stage), compatibility: stage.compatibility,
                seed: stage.seed, inputs: stage.operands.map(Provenance.input), base: Provenance.base(stage),
                defaults: Provenance.defaults(stage, registry), record: record,
                omittedModules: stage.omittedModules, notes: stage.notes)
        }
    }

    /// The method of most modules (the first in the order of names when several tie).
    public static func mainMethod(_ stage: StagePlan) -> String {
        var counts: [String: Int] = [:]
        for module in stage.modules { counts[module.method, default: 0] += 1 }
        return counts.sorted { ($1.value, $0.key) < ($0.value, $1.key) }.first?.key ?? ""
    }

    private static func input(_ operand: NamedAdapter) -> Input {
        Input(
            name: operand.name, version: operand.version, object: operand.object, reference: operand.reference,
            files: operand.adapter.fileDigests)
    }

    private static func base(_ stage: StagePlan) -> Input? {
        (stage.checkpoint?.base ?? stage.decompositionBase).map { base in
            Input(
                name: base.name, version: nil, object: nil, reference: stage.baseModel ?? base.path,
                files: stage.checkpoint?.baseDigests ?? stage.decompositionDigests)
        }
    }

    private static func defaults(
        _ stage: StagePlan, _ registry: MethodRegistry
    ) -> [String: [String: ParameterValue]] {
        var result: [String: [String: ParameterValue]] = [:]
        for id in Set(stage.modules.map(\.method)) {
            guard let method = registry.method(id, compatibility: stage.compatibility) else { continue }
            for declaration in method.parameters {
                if let value = declaration.defaultValue { result[id, default: [:]][declaration.name] = value }
            }
        }
        return result
    }
}
