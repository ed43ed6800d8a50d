import Governance
import Reports
import WeightFiles

/// Module statistics as JSON and as a table.
enum InspectionDocument {
    static func module(_ module: ModuleStatistics) -> JSONValue {
        .object([
            .init("name", .string(module.name)), .init("d_out", .integer(module.dOut)),
            .init("d_in", .integer(module.dIn)), .init("rank", .integer(module.rank)),
            .init("scale", .double(module.scale)), .init("frobenius", .double(module.frobenius)),
            .init("sigma1", .double(module.sigma1)), .init("stable_rank", .double(module.stableRank)),
            .init("energy_share", .double(module.energyShare)), .init("entropy", .double(module.entropy)),
            .init("kurtosis", .double(module.kurtosis)),
            .init("kurtosis_is_sampled", .bool(module.kurtosisIsSampled)),
            .init("largest_entry", .double(module.largestFactorEntry)), .init("zero_share", .double(module.zeroShare)),
            .init("singular_values", .array(module.singularValues.map(JSONValue.double))),
        ])
    }

    static func table(_ modules: [ModuleStatistics]) -> TerminalTable {
        var table = TerminalTable([
            .text("MODULE", shrinks: true), .text("SHAPE"), .number("RANK"), .number("SCALE"), .number("NORM"),
            .number("SIGMA1"), .number("STABLE RANK"), .number("ENTROPY"), .number("KURTOSIS"),
        ])
        for module in modules {
            table.add([
                module.name, "\(module.dOut)×\(module.dIn)", "\(module.rank)", Quantities.significant(module.scale),
                Quantities.significant(module.frobenius), Quantities.significant(module.sigma1),
                Quantities.fixed(module.stableRank, 2), Quantities.fixed(module.entropy, 2),
                Quantities.fixed(module.kurtosis, 1),
            ])
        }
        return table
    }
}
