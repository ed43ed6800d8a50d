import Foundation
import LinearAlgebra
import Tensors

/// What the singular values of an update tell about it.
struct SpectrumStatistics {
    let frobenius: Double
    let stableRank: Double
    let energyShare: Double
    let entropy: Double

    /// - Parameter sigma: singular values, falling.
    init(_ sigma: [Double], rank: Int) {
        let energies = sigma.map { $0 * $0 }
        let total = energies.reduce(0, +)
        frobenius = total.squareRoot()
        guard total > 0, let first = energies.first, first > 0 else {
            (stableRank, energyShare, entropy) = (0, 0, 0)
            return
        }
        stableRank = total / first
        energyShare = first / total
        let shares = energies.map { $0 / total }.filter { $0 > 0 }
        entropy = rank > 1 ? max(0, -shares.reduce(0) { $0 + $1 * log($1) }) / log(Double(rank)) : 0
    }
}

/// Fourth moment of the entries of B · A over the square of the second, about the mean.
enum EntryKurtosis {
    /// Up to this many entries all are taken; beyond, those of a regular grid of at most `side` rows and columns.
    static let allEntries = 1 << 16
    static let side = 128

    static func of(_ factors: LowRankFactors) throws -> (value: Double, isSampled: Bool) {
        let (entries, overflow) = factors.rows.multipliedReportingOverflow(by: factors.columns)
        let isSampled = overflow || entries > allEntries
        let rows = isSampled ? positions(factors.rows) : Array(0..<factors.rows)
        let columns = isSampled ? positions(factors.columns) : Array(0..<factors.columns)
        return (
            kurtosis(try multiply(take(rows, of: factors.b), take(columns: columns, of: factors.a)).elements), isSampled
        )
    }

    /// The middles of `side` equal parts of 0..<count.
    private static func positions(_ count: Int) -> [Int] {
        guard count > side else { return Array(0..<count) }
        return (0..<side).map { (2 * $0 + 1) * count / (2 * side) }
    }

    private static func take(_ rows: [Int], of matrix: Matrix<Float>) -> Matrix<Double> {
        let width = matrix.columns
        let elements = rows.flatMap { matrix.elements[$0 * width..<($0 + 1) * width].lazy.map(Double.init) }
        return Matrix(rows: rows.count, columns: width, elements: elements)
    }

    private static func take(columns: [Int], of matrix: Matrix<Float>) -> Matrix<Double> {
        let elements = (0..<matrix.rows).flatMap { row in
            columns.map { Double(matrix.elements[row * matrix.columns + $0]) }
        }
        return Matrix(rows: matrix.rows, columns: columns.count, elements: elements)
    }

    /// 0 when all values are equal.
    static func kurtosis(_ values: [Double]) -> Double {
        guard let largest = values.lazy.map({ abs($0) }).max(), largest > 0 else { return 0 }
        // Relative to the largest value nothing can overflow or vanish.
        let mean = values.reduce(0) { $0 + $1 / largest } / Double(values.count)
        var second = 0.0
        var fourth = 0.0
        for value in values {
            let square = (value / largest - mean) * (value / largest - mean)
            second += square
            fourth += square * square
        }
        let variance = second / Double(values.count)
        guard variance > 1e-24 else { return 0 }
        return fourth / Double(values.count) / (variance * variance)
    }
}
