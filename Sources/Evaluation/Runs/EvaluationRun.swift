import Adapters
import Diagnostics
import Networks
import Tensors
import Training

/// One evaluation while it runs: heads and predictions by adapter.
final class EvaluationRun {
    /// An adapter on its way: its predictions by position.
    private final class Unit {
        let part: Evaluator.Part
        let label: String
        var prepared: PreparedSubject
        var head: any ClassHead
        var predictions: [Int: Prediction] = [:]
        var nonFinite: Set<Int> = []

        init(_ part: Evaluator.Part, label: String, prepared: PreparedSubject, head: any ClassHead) {
            self.part = part
            self.label = label
            self.prepared = prepared
            self.head = head
        }
    }

    private let evaluator: Evaluator
    private let samples: EncodedSamples
    private let progress: any ProgressReporting
    private let isCancelled: () -> Bool
    private var finished: [String: Unit] = [:]
    private var training: (samples: LabelledSamples, encoded: EncodedSamples)?
    /// A head that all subjects share.
    private(set) var sharedHead: (any ClassHead)?
    private var loaded: LoadedSuite { evaluator.loaded }
    private var width: Int { loaded.backbone.description.width }
    private var classes: Int { loaded.dataset.classNames.count }

    init(
        _ evaluator: Evaluator, _ samples: LabelledSamples, _ progress: any ProgressReporting,
        _ isCancelled: @escaping () -> Bool
    ) throws {
        self.evaluator = evaluator
        self.samples = try evaluator.loaded.encode(samples)
        self.progress = progress
        self.isCancelled = isCancelled
        switch loaded.suite.head {
        case .file(let path, let scale):
            sharedHead = try StoredHead.read(path, scale: scale, classes: classes, width: width)
        case .fitted(let head):
            let samples = try loaded.trainingSamples(head.perClass)
            training = (samples, try loaded.encode(samples))
            if head.features == .backbone {
                sharedHead = try fitted(head, PreparedSubject(backbone: loaded.backbone), "backbone")
            }
        case .classNames(let scale): sharedHead = try namedClasses(scale)
        case .backbone:
            sharedHead = try StoredHead.ofBackbone(
                loaded.backboneFolder, configuration: loaded.backbone.configuration,
                names: loaded.dataset.classNames, width: width)
        case .adapter: break
        }
    }

    func results(_ subjects: [Subject], onFailure: ((Subject, Failure) -> Void)?) throws -> [SubjectResult] {
        // Subjects that see all samples come first: what runs per task can then take over their predictions.
        let whole = subjects.filter { if case .perTask = $0.kind { false } else { true } }
        let perTask = subjects.filter { if case .perTask = $0.kind { true } else { false } }
        var failed: Set<String> = []
        for group in [whole, perTask] {
            var wave: [Unit] = []
            var bytes = 0
            for subject in group {
                do {
                    for part in evaluator.parts(of: subject, labels: samples.labels) where !isKnown(part, wave) {
                        let unit = try unit(part, label: subject.label)
                        if !wave.isEmpty, bytes + unit.prepared.byteCount > evaluator.options.memoryLimitBytes {
                            try run(wave)
                            (wave, bytes) = ([], 0)
                        }
                        wave.append(unit)
                        bytes += unit.prepared.byteCount
                    }
                } catch let failure as Failure {
                    guard let onFailure else { throw failure }
                    failed.insert(subject.label)
                    onFailure(subject, failure)
                }
            }
            try run(wave)
        }
        return subjects.filter { !failed.contains($0.label) }.map(result)
    }

    private func isKnown(_ part: Evaluator.Part, _ wave: [Unit]) -> Bool {
        if let unit = finished[part.key], part.positions.allSatisfy({ unit.predictions[$0] != nil }) { return true }
        return wave.contains { $0.part.key == part.key && Set(part.positions).isSubset(of: $0.part.positions) }
    }

    private func unit(_ part: Evaluator.Part, label: String) throws -> Unit {
        let prepared = try evaluator.prepare(part.adapter, label: label)
        return Unit(part, label: label, prepared: prepared, head: try head(for: part, prepared, label))
    }

    // MARK: Heads

    private func head(for part: Evaluator.Part, _ prepared: PreparedSubject, _ label: String) throws -> any ClassHead {
        if let sharedHead { return sharedHead }
        switch loaded.suite.head {
        case .fitted(let head): return try fitted(head, prepared, label)
        case .adapter, .backbone, .file, .classNames:
            guard let adapter = part.adapter else {
                throw Failure(
                    .dataMissing, "'\(label)' has no head: the suite takes the head from the adapter",
                    place: "head.from", hint: "evaluate adapters only, or name a head file in the suite")
            }
            return try StoredHead.of(adapter, classes: classes, width: width)
        }
    }

    /// One row per class: the unit-length feature of its name, `_` read as a space.
    private func namedClasses(_ scale: Float) throws -> any ClassHead {
        let names = loaded.dataset.classNames.map { $0.split(separator: "_").joined(separator: " ") }
        let encoded: EncodedSamples
        do {
            encoded = try loaded.encode(LabelledSamples(store: .texts(names), labels: Array(names.indices)))
        } catch var failure as Failure {
            failure.place = "head.zero_shot"
            throw failure
        }
        var weight = Matrix<Float>(rows: classes, columns: width)
        try evaluator.stream.run(
            encoded, Array(names.indices), through: [PreparedSubject(backbone: loaded.backbone)],
            progress: SilentProgress(), isCancelled: isCancelled
        ) { _, positions, features in
            for (row, position) in positions.enumerated() {
                for column in 0..<width { weight[position, column] = features[row, column] }
            }
        }
        return LinearHead(weight: FeatureRows.unitLength(weight), scale: scale)
    }

    private func fitted(_ head: Suite.FittedHead, _ prepared: PreparedSubject, _ label: String) throws -> any ClassHead
    {
        guard let training else { throw Failure(.internalDefect, "no training samples were read") }
        var fitting = HeadFitting(head, samples: training.samples, classes: classes, width: width)
        progress.begin("fitting the head", total: Int64(training.samples.count), unit: "samples")
        progress.note(label)
        defer { progress.end() }
        try evaluator.stream.run(
            training.encoded, Array(training.samples.labels.indices), through: [prepared], progress: progress,
            isCancelled: isCancelled
        ) { _, positions, features in try fitting.add(features, positions: positions) }
        return try fitting.solved()
    }

    // MARK: Passes

    /// Runs units over their samples. Units over the same samples run side by side and share what they have in common.
    private func run(_ wave: [Unit]) throws {
        guard !wave.isEmpty else { return }
        var rest = wave
        progress.begin(
            "evaluating", total: Int64(wave.reduce(0) { $0 + $1.part.positions.count }), unit: "samples")
        defer { progress.end() }
        while let first = rest.first {
            let same = rest.filter { $0.part.positions == first.part.positions }
            rest.removeAll { $0.part.positions == first.part.positions }
            try evaluator.stream.run(
                samples, first.part.positions, through: same.map(\.prepared), progress: progress,
                isCancelled: isCancelled
            ) { index, positions, features in
                progress.note(same[index].label)
                predict(same[index], positions, features)
            }
        }
        for unit in wave {
            // Only the predictions stay; the adapter's copy of the weights goes.
            unit.prepared = PreparedSubject(backbone: loaded.backbone)
            if let known = finished[unit.part.key] {
                known.predictions.merge(unit.predictions) { old, _ in old }
                known.nonFinite.formUnion(unit.nonFinite)
            } else {
                finished[unit.part.key] = unit
            }
        }
    }

    private func predict(_ unit: Unit, _ positions: [Int], _ features: Matrix<Float>) {
        let logits = unit.head.logits(features)
        logits.elements.withUnsafeBufferPointer { buffer in
            for (row, position) in positions.enumerated() {
                let scores = UnsafeBufferPointer(rebasing: buffer[row * classes..<(row + 1) * classes])
                unit.predictions[position] = Prediction(
                    logits: scores, label: samples.labels[position], map: loaded.tasks)
                if scores.contains(where: { $0.isNaN || $0 == .infinity }) { unit.nonFinite.insert(position) }
            }
        }
    }

    private func result(_ subject: Subject) -> SubjectResult {
        var byPosition = [Prediction?](repeating: nil, count: samples.count)
        var nonFinite = 0
        for part in evaluator.parts(of: subject, labels: samples.labels) {
            guard let unit = finished[part.key] else { continue }
            for position in part.positions {
                byPosition[position] = unit.predictions[position]
                if unit.nonFinite.contains(position) { nonFinite += 1 }
            }
        }
        var tally = PredictionTally(map: loaded.tasks)
        for case let prediction? in byPosition { tally.add(prediction) }
        return SubjectResult(subject: subject.label, tally: tally, nonFinite: nonFinite)
    }
}
