import ContinualLearning
import Diagnostics
import Foundation
import Reports
import WeightFiles

/// `cil ablate`, `cil replay`, `cil doctor`: what a run directory tells afterwards.
struct CilInspection {
    let session: Session

    /// The run of a directory; with several seeds, of its first.
    private func open(_ folder: String) throws -> ContinualRun {
        let (configuration, loaded) = try CilWork.request(of: folder, session)
        let seed = configuration.trainSeeds[0]
        if configuration.trainSeeds.count > 1 { session.note("the run has several seeds; this is seed \(seed)") }
        return try ContinualRun(
            configuration.with(trainSeed: seed), loaded: loaded,
            folder: CilWork.folder(folder, seed: seed, of: configuration),
            options: CilWork(session: session, enters: false).options)
    }

    // MARK: Doctor

    func doctor(_ folder: String, task: Int?) throws {
        let checks = try open(folder).doctor(task: task)
        guard !checks.isEmpty else {
            throw Failure(
                .ioNotFound, "the run has no checkpoint yet", path: folder,
                hint: "lorabank cil resume \(folder) learns the first task")
        }
        let failed = checks.filter { !$0.passed }
        session.result(
            .document(
                "cil_doctor",
                [
                    .init("run", .string(folder)), .init("passed", .integer(checks.count - failed.count)),
                    .init("failed", .integer(failed.count)),
                    .init("checks", .array(checks.map(\.document))),
                ])
        ) {
            var table = TerminalTable([.text("CHECK"), .text("RESULT"), .number("VALUE"), .text("WHAT", shrinks: true)])
            for check in checks {
                table.add([check.id, check.passed ? "holds" : "FAILS", "\(check.value)", check.note])
            }
            let words = failed.map { "\($0.id): \($0.explanation)\n" }.joined()
            return session.rendered(table) + words
        }
        if !failed.isEmpty { session.endWith(ErrorClass.integrity.rawValue) }
    }

    // MARK: Ablations

    func ablate(_ folder: String, task: Int?) throws {
        let (configuration, _) = try CilWork.request(of: folder, session)
        let place = CilWork.folder(folder, seed: configuration.trainSeeds[0], of: configuration)
        let path = place + "/ablations.csv"
        guard let text = try? String(contentsOfFile: path, encoding: .utf8) else {
            throw Failure(.ioNotFound, "the run has no ablations.csv", path: place)
        }
        let rows = text.split(separator: "\n").dropFirst().map {
            $0.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
        }.filter { $0.count >= 9 }
        let last = rows.compactMap { Int($0[0]) }.max()
        guard let wanted = task ?? last, rows.contains(where: { Int($0[0]) == wanted }) else {
            throw Failure(
                .dataMissing, "there is no ablation after this task", path: path,
                hint: "runs with ablations: none keep none")
        }
        let chosen = rows.filter { Int($0[0]) == wanted && $0[5] == "all" }
        session.result(
            .document(
                "cil_ablate",
                [
                    .init("run", .string(folder)), .init("task", .integer(wanted)),
                    .init(
                        "views",
                        .array(
                            chosen.map { row in
                                .object([
                                    .init("moment", .string(row[1])), .init("view", .string(row[2])),
                                    .init("split", .string(row[3])), .init("head", .string(row[4])),
                                    .init("accuracy", .optional(Double(row[6]))),
                                    .init("correct", .optional(Int(row[7]))), .init("n", .optional(Int(row[8]))),
                                ])
                            })),
                ])
        ) {
            var table = TerminalTable([
                .text("MOMENT"), .text("VIEW"), .text("SPLIT"), .number("ACCURACY %"), .number("N"),
            ])
            for row in chosen {
                table.add([row[1], row[2], row[3], Quantities.fixed((Double(row[6]) ?? 0) * 100, 2), row[8]])
            }
            return session.rendered(table) + "after task \(wanted), all classes seen\n"
        }
    }

    // MARK: Replay

    /// What the adapters of an `independent` run come to when a recipe merges them, in the layout of `cil run`.
    func replay(_ folder: String, merging recipe: String) throws {
        let merging = try CilMerging(recipe, session: session)
        let (configuration, loaded) = try CilWork.request(of: folder, session)
        let outcomes = try configuration.trainSeeds.map { seed in
            let began = Date()
            let run = try ContinualRun(
                configuration.with(trainSeed: seed), loaded: loaded,
                folder: CilWork.folder(folder, seed: seed, of: configuration),
                options: CilWork(session: session, enters: false).options)
            var outcome = try run.replay(recipe: merging.name, merge: merging.merge)
            outcome.seconds = Date().timeIntervalSince(began)
            return outcome
        }
        let document = CilOutcome(configuration: configuration, folder: folder, runs: outcomes, adapters: [])
        session.result(document.document) { document.text(session) }
    }

    func replay(_ folder: String, rules: [String]) throws {
        let run = try open(folder)
        let wanted = rules.isEmpty ? Consolidation.rules.map(\.description.id) : rules
        let replays = try wanted.map { try run.replay(ConsolidationRule($0)) }
        session.result(
            .document(
                "cil_replay",
                [
                    .init("run", .string(folder)), .init("original", .optional(replays.first?.originalAccuracy)),
                    .init(
                        "rules",
                        .array(
                            replays.map { replay in
                                .object([
                                    .init("rule", .string(replay.rule)),
                                    .init("val_accuracy", .optional(replay.validationAccuracy)),
                                    .init("approximate", .bool(replay.isApproximate)),
                                    .init("slow_norms", .array(replay.slowNorms.map(JSONValue.double))),
                                    .init(
                                        "truncation_errors", .array(replay.truncationErrors.map(JSONValue.double))),
                                ])
                            })),
                ])
        ) {
            var table = TerminalTable([
                .text("RULE"), .number("VAL %"), .number("SLOW NORM"), .number("CUT"),
            ])
            for replay in replays {
                table.add([
                    replay.rule, replay.validationAccuracy.map { Quantities.fixed($0 * 100, 2) } ?? "–",
                    Quantities.significant(replay.slowNorms.last ?? 0),
                    Quantities.significant(replay.truncationErrors.last ?? 0),
                ])
            }
            let own = replays.first?.originalAccuracy.map { Quantities.fixed($0 * 100, 2) } ?? "–"
            let kind = replays.contains { $0.isApproximate } ? "; approximate: slow learned by gradients" : ""
            return session.rendered(table) + "the run itself: \(own) % (class means on validation data)\(kind)\n"
        }
    }
}
