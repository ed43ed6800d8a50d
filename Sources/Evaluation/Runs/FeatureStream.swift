import Diagnostics
import Networks
import Tensors

/// Streams samples through several subjects, chunk by chunk, and hands out their features.
///
/// Layers below the first one that any subject changes run once per chunk for all subjects.
struct FeatureStream: Sendable {
    let suite: Suite
    let backbone: Backbone<Float>
    let threads: Int
    /// Bytes that inputs, kept activations and features of one chunk should stay below.
    var chunkBytes = 64 << 20

    /// - Parameters:
    ///   - positions: the samples wanted, in any order.
    ///   - each: receives, for one subject, some positions and their features [positions, width], scaled to unit
    ///     length when the suite says so.
    /// - Throws: `CancellationError`, and what a pass throws.
    func run(
        _ samples: EncodedSamples, _ positions: [Int], through subjects: [PreparedSubject],
        progress: any ProgressReporting, isCancelled: () -> Bool,
        each: (_ subject: Int, _ positions: [Int], _ features: Matrix<Float>) throws -> Void
    ) throws {
        let shared = subjects.count > 1 ? subjects.map(\.firstLayer).min() ?? 0 : 0
        let ordered = samples.ordered(positions)
        let size = chunkSize(samples, subjects: subjects.count, keepsRows: shared > 0)
        for start in stride(from: 0, to: ordered.count, by: size) {
            let chunk = Array(ordered[start..<min(start + size, ordered.count)])
            var input = samples.input(chunk)
            if shared > 0 {
                let prefix = try backbone.prefix(of: input, through: shared, threads: threads)
                input = .activations(prefix, samples: Array(0..<chunk.count))
            }
            for (index, subject) in subjects.enumerated() {
                if isCancelled() { throw CancellationError() }
                let features = try subject.backbone.features(
                    input, pooling: suite.feature, mix: subject.mix, threads: threads)
                let matrix = Matrix(rows: chunk.count, columns: backbone.description.width, elements: features)
                try each(index, chunk, suite.normalisation == .l2 ? FeatureRows.unitLength(matrix) : matrix)
                progress.advance(by: Int64(chunk.count))
            }
        }
    }

    private func chunkSize(_ samples: EncodedSamples, subjects: Int, keepsRows: Bool) -> Int {
        let width = backbone.description.width * 4
        let rows = keepsRows ? samples.rowsPerSample(backbone.description) : 0
        let bytes = samples.bytesPerSample + rows * width + width
        return min(2_048, max(16, chunkBytes / max(1, bytes)))
    }
}

extension EncodedSamples {
    /// Rows that the longest sample makes, for estimates: an image backbone of patch p makes H·W/p² and a class token,
    /// with p at least 4.
    func rowsPerSample(_ backbone: BackboneDescription) -> Int {
        if let longestText { return longestText }
        guard case .images(_, let height, let width) = backbone.input else { return 1 }
        return height * width / 16 + 1
    }
}
