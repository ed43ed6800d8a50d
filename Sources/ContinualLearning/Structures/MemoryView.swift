/// Which memories contribute in an evaluation; always the same forward pass with other coefficients (cil-engine 14).
public enum MemoryView: String, Sendable, CaseIterable {
    case combined
    case slowOnly = "slow_only"
    case fastOnly = "fast_only"
    case backboneOnly = "backbone_only"
    case midOnly = "mid_only"
    case withoutSlow = "without_slow"
    case withoutMid = "without_mid"
    case withoutFast = "without_fast"

    /// The views that make sense for a structure.
    static func all(for structure: Structure) -> [MemoryView] {
        switch structure {
        case .backbone: [.combined, .backboneOnly]
        case .single, .independent, .joint: [.combined, .fastOnly, .backboneOnly]
        case .chain3: MemoryView.allCases
        default: [.combined, .slowOnly, .fastOnly, .backboneOnly]
        }
    }

    var usesSlow: Bool { [.combined, .slowOnly, .withoutMid, .withoutFast].contains(self) }
    var usesMid: Bool { [.combined, .midOnly, .withoutSlow, .withoutFast].contains(self) }
    var usesFast: Bool { [.combined, .fastOnly, .withoutSlow, .withoutMid].contains(self) }
}

/// When something is measured: before or after consolidation.
public enum Moment: String, Sendable {
    case pre, post
}

extension AdapterMemory {
    /// Coefficient of every slot in `names` for a view.
    ///
    /// - Parameters:
    ///   - active: the fast slot that this task trained, for `pre`: the winner in `parallel`.
    func coefficients(_ view: MemoryView, _ moment: Moment, active: Int?) -> [Float] {
        names.map { name in
            switch name {
            case .slow:
                // Before consolidation the clone of PAM and the continuing adapter of single-ema stand for the whole.
                let isWholeInFast = [.pam, .singleEMA].contains(configuration.structure) && moment == .pre
                return view.usesSlow && !(isWholeInFast && view == .combined) ? 1 : 0
            case .mid: return view.usesMid ? 1 : 0
            case .fast(let index): return view.usesFast ? fastCoefficient(index, view, moment, active) : 0
            }
        }
    }

    private func fastCoefficient(_ index: Int, _ view: MemoryView, _ moment: Moment, _ active: Int?) -> Float {
        switch configuration.structure {
        case .pam, .singleEMA: return view == .fastOnly || moment == .pre ? 1 : 0
        case .parallel: return moment == .post || active == nil || index == active ? 1 : 0
        case .moe, .independent: return ruleCoefficient(index)
        default: return 1
        }
    }

    private func ruleCoefficient(_ index: Int) -> Float {
        guard isTrained[index] else { return 0 }
        switch configuration.evaluationRule {
        case .sum: return 1
        case .mean: return 1 / Float(isTrained.count { $0 })
        case .last: return index == lastTrained ? 1 : 0
        case .none: return 0
        case .gate:
            let best = lossAverage.indices.filter { isTrained[$0] }.min {
                (lossAverage[$0] ?? .infinity, $0) < (lossAverage[$1] ?? .infinity, $1)
            }
            return index == best ? 1 : 0
        }
    }
}

extension AdapterMemory {
    /// Coefficients of training: what the roles let contribute, and one fast slot.
    func trainingCoefficients(_ roles: TaskRoles, lane: Int?) -> [Float] {
        names.map { name in
            switch name {
            case .slow: roles.usesSlow ? 1 : 0
            case .mid: roles.usesMid ? 1 : 0
            case .fast(let index): index == lane ? 1 : 0
            }
        }
    }
}
