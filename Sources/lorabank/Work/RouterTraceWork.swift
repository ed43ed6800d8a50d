import Adapters
import Bank
import Diagnostics
import Evaluation
import Foundation
import Networks
import Reports
import Routing
import Tensors
import Training
import WeightFiles

/// Samples by their places in a split.
struct SampleChoice {
    let places: [Int]?
    let first: Int?

    /// - Throws: `usage.bad_argument` for a list that is none.
    init(list: String?, first: Int?) throws {
        self.first = first
        places = try list.map { text in
            try text.split(separator: ",").flatMap { part -> [Int] in
                let ends = part.split(separator: "-", maxSplits: 1).map { Int($0.trimmingCharacters(in: .whitespaces)) }
                guard let low = ends.first ?? nil, let high = ends.last ?? nil, low >= 0, low <= high,
                    high - low < 1_000_000
                else {
                    throw Failure(.usageBadArgument, "'\(part)' is no place and no range", place: "--samples")
                }
                return Array(low...high)
            }
        }
    }

    init(places: [Int]) { (self.places, first) = (places, nil) }

    /// - Throws: `usage.bad_argument` for places that there are not.
    func positions(of count: Int) throws -> [Int] {
        let all = places ?? Array(0..<min(count, first ?? count))
        if let stray = all.first(where: { $0 >= count }) {
            throw Failure(.usageBadArgument, "the split has \(count) samples, no sample \(stray)", place: "--samples")
        }
        return all
    }
}

/// `router trace`, `explain`, `replay` and `collapse`.
struct RouterTraceWork {
    let session: Session
    let opened: OpenedRouter
    let allowUnapproved: Bool

    private var loaded: LoadedSuite { opened.evaluation.loaded }
    private var experts: RoutedExperts { opened.evaluation.experts }

    // MARK: Traces

    func trace(
        to path: String, _ choice: SampleChoice, _ options: TraceOptions, html: String?, replacing: Bool
    ) throws {
        for file in [path, html].compactMap({ $0 }) where !replacing && FileManager.default.fileExists(atPath: file) {
            throw Failure(.outputExists, "it exists already", path: file, hint: "choose another path, or add --force")
        }
        try checkRouters(options.routers)
        var writer = try written(choice, options)
        let quality = writer.quality
        let bytes = writer.writer.finish()
        try AtomicFile.write(bytes, to: path, overwrite: replacing)
        let page = RouterPage(experts: experts.ids, taskNames: loaded.taskNames)
        if let html {
            let text = page.trace(
                quality, layers: writer.layers, title: "Routing of \(opened.file.name)", origin: origin(writer.samples))
            try AtomicFile.write(Array(text.utf8), to: html, overwrite: replacing)
        }
        let digest = try RoutingTrace(path: path).digest
        session.result(
            .document(
                "router_trace",
                [
                    .init("router", .string(opened.file.identity)), .init("path", .string(path)),
                    .init("html", .optional(html)), .init("samples", .integer(writer.samples)),
                    .init("digest", .string(digest)), .init("load", .array(quality.load.map(JSONValue.double))),
                    .init("entropy", .double(quality.entropy)),
                    .init("effective_experts", .double(quality.effectiveExperts)),
                ])
        ) {
            "\(writer.samples) samples traced to \(session.shown(path)), digest \(digest.prefix(12))\n"
                + (html.map { "heat maps in \(session.shown($0))\n" } ?? "")
        }
    }

    private func origin(_ samples: Int) -> String {
        "router \(opened.file.identity.prefix(12)), suite \(opened.suite.name), \(samples == 1 ? "1 sample" : "\(samples) samples"), "
            + "lorabank \(LoRABank.version)"
    }

    private func checkRouters(_ wanted: Set<String>) throws {
        let known = opened.router.model.networks.map(\.id)
        if let stray = wanted.first(where: { !known.contains($0) }) {
            throw Failure(
                .usageBadArgument, "there is no router '\(stray)'", place: "--sites",
                hint: Spelling.hint(for: stray, among: known) ?? "routers: " + known.joined(separator: ", "))
        }
    }

    private struct Written {
        var writer: TraceWriter
        let quality: RoutingQuality
        let layers: LayerLoads
        let samples: Int
    }

    private func written(_ choice: SampleChoice, _ options: TraceOptions) throws -> Written {
        let all = try loaded.samples()
        let places = try choice.positions(of: all.count)
        let part = all.selecting(places)
        var writer = TraceWriter(
            try header(places, part, options), taskNames: loaded.taskNames, tasks: opened.router.tasks)
        var layers = LayerLoads(experts: experts.count)
        let samples = try opened.evaluation.encode(part)
        try Interruption.cooperatively {
            try TracedPass(opened.evaluation, router: opened.router).run(
                samples, progress: session.progress, isCancelled: { Interruption.isRequested }
            ) { trace in
                let label = part.labels[trace.position]
                writer.add(trace, name: places[trace.position], task: loaded.tasks.taskOfClass[label], label: label)
                layers.add(trace)
            }
        }
        return Written(writer: writer, quality: writer.tally, layers: layers, samples: places.count)
    }

    private func header(_ places: [Int], _ part: LabelledSamples, _ options: TraceOptions) throws -> TraceHeader {
        TraceHeader(
            router: opened.file.identity, base: opened.file.base,
            experts: experts.experts.map { .init(id: $0.id, sha256: $0.digest, approval: approval($0)) },
            routing: opened.router.setup.routing, outputs: opened.router.model.outputs,
            temperature: opened.router.model.options.temperature, tool: "lorabank \(LoRABank.version)",
            seed: opened.router.setup.training.seed, dataset: opened.suite.name,
            datasetSHA256: part.contentHash.hex, samples: places, options: options, allowedUnapproved: allowUnapproved)
    }

    private func approval(_ expert: RoutedExperts.Expert) -> String {
        guard expert.version != nil, let row = try? session.bank().row(for: expert.id) else { return "none" }
        return row.state.rawValue
    }

    func replay(_ trace: RoutingTrace) throws {
        let routing = opened.router.setup.routing
        let k = routing.mode.isSparse ? routing.active(of: opened.router.model.outputs) : opened.router.model.outputs
        guard trace.router == opened.file.identity, trace.mode == routing.mode.rawValue, trace.k == k else {
            throw Failure(
                .routerReplayDiffers, "the trace is of another router, or of other routing",
                details: [
                    "expected": "\(trace.router.prefix(12)) \(trace.mode) k=\(trace.k)",
                    "found": "\(opened.file.identity.prefix(12)) \(routing.mode.rawValue) k=\(k)",
                ])
        }
        var again = try written(SampleChoice(places: trace.samples), trace.options)
        let found = try RoutingTrace(bytes: again.writer.finish())
        let result = trace.compared(with: found)
        guard result.reproduces else {
            throw Failure(
                .routerReplayDiffers,
                "\(result.different.count) of \(result.lines) records differ, the first in line "
                    + "\(result.different.first ?? 0)")
        }
        session.result(
            .document(
                "router_replay",
                [
                    .init("router", .string(opened.file.identity)), .init("records", .integer(result.lines)),
                    .init("exact", .bool(result.isExact)), .init("rounded", .integer(result.rounded)),
                    .init("digest", .string(trace.digest)),
                ])
        ) {
            "the seal holds, and all \(result.lines) records were made again"
                + (result.isExact ? ", every one the same\n" : ", \(result.rounded) of them within 1e-4\n")
        }
    }

    // MARK: Explanations

    func explain(_ place: Int, html: String?, replacing: Bool) throws {
        if let html, !replacing, FileManager.default.fileExists(atPath: html) {
            throw Failure(.outputExists, "it exists already", path: html, hint: "choose another path, or add --force")
        }
        let all = try loaded.samples()
        _ = try SampleChoice(places: [place]).positions(of: all.count)
        let part = all.selecting([place])
        let samples = try opened.evaluation.encode(part)
        let explanation = try Explanation(opened.evaluation, router: opened.router, samples)
        let report = RouterExplanation(
            explanation: explanation, place: place, router: opened.file.identity, experts: experts.ids,
            classNames: loaded.dataset.classNames, tokens: tokens(part),
            task: loaded.tasks.taskOfClass[explanation.label].map { loaded.taskNames[$0] },
            provenance: experts.experts.map(provenance))
        if let html {
            let page = report.page(title: "Sample \(place) of \(opened.suite.name)", origin: origin(1))
            try AtomicFile.write(Array(page.utf8), to: html, overwrite: replacing)
        }
        session.result(report.document(html: html)) {
            report.text(session) + (html.map { "heat maps in \(session.shown($0))\n" } ?? "")
        }
    }

    /// The tokens of a text; nil for images.
    private func tokens(_ part: LabelledSamples) -> [String]? {
        guard case .texts(let texts) = part.store, let text = texts.first,
            let tokenizer = try? TokenizerFile.load(folder: loaded.backboneFolder)
        else { return nil }
        return tokenizer.encodeInput(text, maximumTokens: opened.suite.input.maxTokens).map {
            tokenizer.decode([$0], skipSpecial: false)
        }
    }

    private func provenance(_ expert: RoutedExperts.Expert) -> ExpertProvenance {
        var result = ExpertProvenance(id: expert.id, digest: expert.digest)
        guard expert.version != nil, let bank = try? session.bank(), let row = try? bank.row(for: expert.id) else {
            result.source = expert.reference
            return result
        }
        result.state = row.state.rawValue
        result.source = row.origin ?? row.source
        result.licence = row.licence
        let decisions = (try? bank.show(expert.id))?.decisions ?? []
        if let decision = decisions.last(where: { $0.decision == .approve }) {
            (result.approver, result.approvedAt) = (decision.actor, decision.at)
        }
        return result
    }

    // MARK: Collapse

    func collapse(name: String?, path: String?, rank: Int?, samples count: Int, replacing: Bool) throws {
        let evaluation = opened.evaluation
        let train = try opened.training() ?? loaded.dataset.train().samples
        let calibration =
            count >= train.count
            ? train
            : try StratifiedSplit.subsample(
                train, classes: loaded.dataset.classNames.count, count: count, seed: opened.router.setup.training.seed)
        let began = Timestamp.now()
        let (collapse, adapter, routed, merged) = try Interruption.cooperatively {
            let collapse = try StaticCollapse(
                evaluation, router: opened.router, evaluation.encode(calibration), progress: session.progress,
                isCancelled: { Interruption.isRequested })
            let adapter = try collapse.adapter(rank: rank)
            let test = try evaluation.encode(loaded.samples())
            func run(_ subject: RoutingSubject) throws -> RoutedPredictions {
                try evaluation.predictions(
                    subject, test, progress: session.progress, isCancelled: { Interruption.isRequested })
            }
            return (
                collapse, adapter, try run(opened.router.subject()),
                try run(RoutingSubject(label: "collapsed", kind: .adapter(adapter)))
            )
        }
        var result = RouterCollapseResult(
            router: opened.file.identity, experts: experts.ids, load: collapse.load, samples: calibration.count,
            rank: adapter.rankMax, routed: routed, merged: merged)
        if let path {
            try PEFTWriter.write(adapter, to: path, overwrite: replacing)
            result.path = path
        }
        if let name { result.stored = try store(adapter, name, collapse, began) }
        session.result(result.document) { result.text(session) }
    }

    private func store(
        _ adapter: Adapter, _ name: String, _ collapse: StaticCollapse, _ began: String
    ) throws -> AdapterRow {
        let workspace = try session.bank(writing: true).workspace()
        _ = try PEFTWriter.write(adapter, into: workspace.folder)
        let parents = zip(experts.experts, collapse.load).map { expert, weight in
            LineageParent(
                object: expert.object ?? expert.digest, reference: expert.version == nil ? nil : expert.id,
                weight: weight)
        }
        let text = "router collapse \(opened.file.identity)"
        let recipe = RecipeRecord(
            recipe: text, recipeSHA: opened.file.identity, program: "lorabank \(LoRABank.version)",
            seed: opened.router.setup.training.seed, threads: session.threads, startedAt: began,
            endedAt: Timestamp.now())
        return try workspace.commit(
            BankProduct(
                name: name, source: .merge, parents: parents, recipe: recipe, description: "collapsed from a router")
        ).row
    }
}
