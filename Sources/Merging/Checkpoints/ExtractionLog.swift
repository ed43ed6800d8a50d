import Digests
import Foundation
import LinearAlgebra
import Synchronization
import Tensors
import WeightFiles

/// The factors that an extraction has found so far, in a hidden file beside its target: the same extraction goes on with
/// them after it was interrupted or killed.
final class ExtractionLog: Sendable {
    /// What became of one matrix.
    struct Found: Sendable, Hashable {
        /// Where A [rank, columns] and behind it B [rows, rank] stand in the file, in bytes.
        var offset: Int
        var rank: Int
        var discardedEnergy: Double
        var frobenius: Double
        var isRandomised: Bool
    }

    /// Matrices that an earlier run decomposed, by index.
    let finished: [Int: Found]
    private let file: ResumableOutput
    private let end: Mutex<Int>

    /// Begins, or takes up what an earlier run with the same inputs left.
    ///
    /// - Parameters:
    ///   - path: of the result.
    ///   - digest: of everything that decides the factors.
    ///   - sizes: numbers of both factors of each matrix, per rank: rows + columns.
    /// - Throws: `io.*`; `io.failed` while another process extracts to the same path.
    init(beside path: String, digest: SHA256Digest, sizes: [Int]) throws {
        file = try ResumableOutput(
            path: path, form: .file, files: [ResumableOutput.File(name: "factors", size: nil)], digest: digest,
            overwrite: true)
        finished = file.finished.compactMapValues(Found.init(line:)).filter { sizes.indices.contains($0.key) }
        end = Mutex(finished.map { $1.offset + 4 * $1.rank * sizes[$0] }.max() ?? 0)
    }

    /// Keeps the factors of a matrix. Safe from any thread.
    func store(_ index: Int, _ result: Recompressor.Result) throws -> Found {
        let (a, b) = (result.a.elements, result.b.elements)
        let count = 4 * (a.count + b.count)
        let offset = end.withLock { end in
            defer { end += count }
            return end
        }
        try a.withUnsafeBytes { try file.write($0, file: 0, at: offset) }
        try b.withUnsafeBytes { try file.write($0, file: 0, at: offset + 4 * a.count) }
        let found = Found(
            offset: offset, rank: result.choice.rank, discardedEnergy: result.choice.discardedEnergy,
            frobenius: result.frobenius, isRandomised: result.isRandomised)
        try file.finish(index, text: found.line, bytes: count)
        return found
    }

    /// A [rank, columns] and B [rows, rank] of a matrix.
    func factors(_ found: Found, rows: Int, columns: Int) throws -> (a: Matrix<Float>, b: Matrix<Float>) {
        func matrix(_ rows: Int, _ columns: Int, at offset: Int) throws -> Matrix<Float> {
            try Matrix(rows: rows, columns: columns) {
                try file.read(into: UnsafeMutableRawBufferPointer($0), file: 0, at: offset)
            }
        }
        return (
            try matrix(found.rank, columns, at: found.offset),
            try matrix(rows, found.rank, at: found.offset + 4 * found.rank * columns)
        )
    }

    /// Removes the file: the result is there, or it is not to be had.
    func remove() { file.abandon() }
}

extension ExtractionLog.Found {
    /// One line of the journal.
    var line: String {
        JSONValue.object([
            .init("o", .integer(offset)), .init("r", .integer(rank)), .init("x", .bool(isRandomised)),
            .init("d", .string(String(discardedEnergy.bitPattern, radix: 16))),
            .init("f", .string(String(frobenius.bitPattern, radix: 16))),
        ]).text(.compact)
    }

    init?(line: String) {
        func number(_ value: JSONValue?) -> Double? {
            value?.string.flatMap { UInt64($0, radix: 16) }.map { Double(bitPattern: $0) }
        }
        guard let value = try? StrictJSON.parse(line, .configuration), let offset = value["o"]?.integer, offset >= 0,
            let rank = value["r"]?.integer, rank > 0, let isRandomised = value["x"]?.bool,
            let discarded = number(value["d"]), let frobenius = number(value["f"])
        else { return nil }
        self.init(
            offset: offset, rank: rank, discardedEnergy: discarded, frobenius: frobenius, isRandomised: isRandomised)
    }
}
