import Reports
import Routing
import WeightFiles

/// How a router fares when its experts change.
extension RouterOutcome {
    var robustnessFields: [JSONValue.Member] {
        let found = table?.robustness
        return [
            .init(
                "leave_one_out",
                .array(
                    (found?.leaveOneOut ?? []).map {
                        .object([
                            .init("expert", .string(experts[$0.expert])), .init("acc_global", .double($0.accuracy)),
                        ])
                    })),
            .init("noise_expert", stranger(found?.noise)), .init("off_task_expert", stranger(found?.offTask)),
            .init(
                "permuted_order",
                found?.permutation.map {
                    .object([
                        .init("changed_answers", .integer($0.changed)),
                        .init("largest_weight_difference", .double($0.weightDifference)),
                    ])
                } ?? .null),
        ]
    }

    private func stranger(_ stranger: Robustness.Stranger?) -> JSONValue {
        guard let stranger else { return .null }
        return .object([
            .init("expert", .string(stranger.name)), .init("share", .double(stranger.share)),
            .init("limit", .double(stranger.limit)), .init("ignored", .bool(stranger.isIgnored)),
            .init("acc_global", .double(accuracy(stranger.correct, stranger))),
            .init("acc_global_before", .double(accuracy(stranger.correctBefore, stranger))),
            .init("n", .integer(stranger.count)),
        ])
    }

    private func accuracy(_ correct: Int, _ stranger: Robustness.Stranger) -> Double {
        Double(correct) / Double(max(1, stranger.count))
    }

    func robustnessText(_ robustness: Robustness?) -> String {
        guard let robustness else { return "" }
        var text = ""
        for without in robustness.leaveOneOut {
            text += "without \(experts[without.expert]): \(percent(without.accuracy)) %\n"
        }
        if let noise = robustness.noise { text += line("trained again with an expert of noise", noise) }
        if let other = robustness.offTask {
            text += line("trained again without the samples of \(other.name)", other)
        }
        if let permutation = robustness.permutation {
            text +=
                permutation.changed == 0
                ? "experts in reverse order: the same answers\n"
                : "WARNING: experts in reverse order change \(permutation.changed) answers\n"
        }
        return text
    }

    private func line(_ what: String, _ stranger: Robustness.Stranger) -> String {
        let share = percent(stranger.share)
        let limit = percent(stranger.limit)
        var text = "\(what): it receives \(share) % of the weight (limit \(limit) %), "
        text += "accuracy \(percent(accuracy(stranger.correct, stranger))) % "
        text += "(\(percent(accuracy(stranger.correctBefore, stranger))) % before)\n"
        return stranger.isIgnored ? text : "WARNING: " + text
    }
}
