/// Consecutive samples that go through the network together on one thread.
struct RowBlock: Sendable {
    /// Samples and their rows in the batch.
    let samples: Range<Int>
    let rows: Range<Int>
    /// Where each sample begins among the block's rows, and the end.
    let offsets: [Int]

    var count: Int { rows.count }
    func length(_ sample: Int) -> Int { offsets[sample + 1] - offsets[sample] }
}

/// How a batch of samples of any lengths is cut into blocks. Depends on the lengths alone, never on threads.
struct BatchLayout: Sendable {
    let lengths: [Int]
    let blocks: [RowBlock]
    let rows: Int

    /// Blocks are filled with whole samples up to about `target` rows.
    init(lengths: [Int], target: Int) {
        self.lengths = lengths
        var blocks: [RowBlock] = []
        var offsets = [0]
        var firstSample = 0
        var firstRow = 0
        func close(at end: Int) {
            guard end > firstSample, let count = offsets.last else { return }
            blocks.append(
                RowBlock(samples: firstSample..<end, rows: firstRow..<firstRow + count, offsets: offsets))
            firstSample = end
            firstRow += count
            offsets = [0]
        }
        for (sample, length) in lengths.enumerated() {
            if let rows = offsets.last, rows > 0, rows + length > target { close(at: sample) }
            offsets.append((offsets.last ?? 0) + length)
        }
        close(at: lengths.count)
        self.blocks = blocks
        rows = firstRow
    }
}
