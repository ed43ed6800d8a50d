import Diagnostics
import Foundation
import Reports
import Settings
import Training
import WeightFiles

/// `backbone pretrain`: trains a small vision backbone on stroke glyphs.
struct PretrainWork {
    let session: Session

    struct Result {
        var configuration: PretrainConfiguration
        var outcome: Pretraining.Outcome
        var target: String
        var seconds: Double

        var document: JSONValue {
            .document(
                "pretrain",
                [
                    .init("name", .string(configuration.name)), .init("path", .string(target)),
                    .init("steps", .integer(outcome.steps)), .init("resumed_from", .integer(outcome.resumedFrom)),
                    .init("parameters", .integer(outcome.parameters)),
                    .init("classes", .integer(configuration.classes)),
                    .init("validation_loss", .double(outcome.loss)),
                    .init("validation_accuracy", .double(outcome.accuracy)),
                    .init(
                        "probes",
                        .array(
                            outcome.probes.map {
                                .object([
                                    .init("data", .string($0.name)), .init("test", .integer($0.result.testCount)),
                                    .init("nearest_class_mean", .double($0.result.nearestMean)),
                                    .init("linear_probe", .double($0.result.linear)),
                                ])
                            })), .init("seconds", .double(seconds)),
                ])
        }

        func text(_ session: Session) -> String {
            let percent = { (share: Double) in String(format: "%.1f %%", 100 * share) }
            let head =
                "trained '\(session.shown(configuration.name))': \(session.shown(target))\n"
                + "  \(Quantities.count(outcome.parameters)) parameters, \(outcome.steps) steps"
                + (outcome.resumedFrom > 0 ? " (from step \(outcome.resumedFrom))" : "")
                + ", \(Quantities.duration(seconds: seconds))\n"
                + "  new glyphs of \(configuration.classes) classes: \(percent(outcome.accuracy)) right\n"
            return head
                + outcome.probes.map {
                    "  \(session.shown($0.name)), \($0.result.testCount) test images: nearest class mean "
                        + "\(percent($0.result.nearestMean)), linear probe \(percent($0.result.linear))\n"
                }.joined()
        }
    }

    func pretrain(_ path: String, overrides: [SettingOverride], to target: String, replacing: Bool) throws -> Result {
        let start = Date()
        let configuration = try PretrainReader.read(path: path, overrides: overrides)
        if !replacing, FileManager.default.fileExists(atPath: target) {
            throw Failure(.outputExists, "it exists already", path: target, hint: "replace it with --force")
        }
        let probes = try configuration.probes.map { name in
            (name: name, data: try Dataset(path: try dataFolder(name, beside: path)))
        }
        let run = try Pretraining(configuration, target: target, threads: session.threads)
        let first = try run.resume()
        if first > 0 { session.note("going on from step \(first) of an interrupted run") }
        try Interruption.cooperatively {
            try run.train(progress: session.progress, isCancelled: { Interruption.isRequested })
        }
        var outcome = try run.finish(
            probes: probes, settings: try settings(path, overrides), to: target, replacing: replacing)
        outcome.resumedFrom = first
        return Result(
            configuration: configuration, outcome: outcome, target: target, seconds: -start.timeIntervalSinceNow)
    }

    /// A folder beside the configuration, or a name.
    private func dataFolder(_ name: String, beside path: String) throws -> String {
        let folder = URL(fileURLWithPath: path).deletingLastPathComponent().path
        let place = name.hasPrefix("/") ? name : folder + "/" + name
        if FileManager.default.fileExists(atPath: place) { return place }
        let resources = try SessionResources(session)
        if !name.contains("/"), let found = try resources.dataFolder(name) { return found }
        throw Failure(
            .ioNotFound, "there is no data '\(name)'", path: path, place: "probe",
            hint: Spelling.hint(for: name, among: resources.dataNames) ?? "lorabank data import PATH --name \(name)")
    }

    /// The configuration's text, with the overrides noted in front.
    private func settings(_ path: String, _ overrides: [SettingOverride]) throws -> String {
        let text = try String(contentsOfFile: path, encoding: .utf8)
        guard !overrides.isEmpty else { return text }
        return overrides.map { "# \($0.place)\n" }.joined() + text
    }
}
