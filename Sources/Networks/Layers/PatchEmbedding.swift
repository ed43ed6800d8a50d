import Diagnostics

/// Non-overlapping patches of an image as tokens, a class token in front, learned positions added.
///
/// Token = vec(patch in channel, row, column order) · projᵀ + bias; X₀ = [cls ; tokens] + positions.
final class PatchEmbedding<S: NetworkScalar>: InputEmbedding, @unchecked Sendable {
    private let parameters: ParameterStore<S>
    private let image: (channels: Int, height: Int, width: Int)
    private let patch: Int
    private let width: Int
    private let projection: Linear<S>
    private let cls: Int
    private let positions: Int

    init(
        _ parameters: ParameterStore<S>, image: (channels: Int, height: Int, width: Int), patch: Int, width: Int,
        projection: Linear<S>, cls: Int, positions: Int
    ) {
        self.parameters = parameters
        self.image = image
        self.patch = patch
        self.width = width
        self.projection = projection
        self.cls = cls
        self.positions = positions
    }

    private var patches: Int { image.height / patch * (image.width / patch) }
    /// Rows of one sample.
    var length: Int { patches + 1 }
    private var pixels: Int { image.channels * image.height * image.width }

    func refresh() { projection.refresh() }

    func lengths(of input: NetworkInput<S>) throws -> [Int] {
        guard case .images(let values) = input else {
            throw Failure(.backboneBadInput, "this backbone reads images, not tokens")
        }
        guard values.count % pixels == 0 else {
            throw Failure(
                .backboneBadInput,
                "\(values.count) pixel values are no whole number of \(image.channels)×\(image.height)×\(image.width) "
                    + "images")
        }
        return Array(repeating: length, count: values.count / pixels)
    }

    /// The patches of one sample as rows [patches, channels·patch·patch].
    private func cut(_ pixels: UnsafePointer<Float>, into rows: UnsafeMutablePointer<S>) {
        let across = image.width / patch
        var target = rows
        for index in 0..<patches {
            let (top, left) = (index / across * patch, index % across * patch)
            for channel in 0..<image.channels {
                for y in 0..<patch {
                    let line = pixels + (channel * image.height + top + y) * image.width + left
                    for x in 0..<patch { target[x] = S(line[x]) }
                    target += patch
                }
            }
        }
    }

    private func patchRows(_ input: NetworkInput<S>, _ run: BlockRun<S>) -> UnsafeMutablePointer<S> {
        let rows = run.scratch.take(run.samples * patches * projection.inputs)
        guard case .images(let values) = input else { return rows }
        values.withUnsafeBufferPointer { buffer in
            guard let base = buffer.baseAddress else { return }
            for sample in 0..<run.samples {
                cut(
                    base + (run.block.samples.lowerBound + sample) * pixels,
                    into: rows + sample * patches * projection.inputs)
            }
        }
        return rows
    }

    func forward(_ input: NetworkInput<S>, into x: UnsafeMutablePointer<S>, _ run: BlockRun<S>) {
        let mark = run.scratch.mark
        defer { run.scratch.release(to: mark) }
        let tokens = run.scratch.take(run.samples * patches * width)
        projection.forward(rows: run.samples * patches, patchRows(input, run), into: tokens)
        let position = parameters.pointer(positions)
        for sample in 0..<run.samples {
            let target = x + sample * length * width
            addRow(rows: 1, width: width, x: parameters.pointer(cls), position, into: target)
            addRow(
                rows: 1, width: patches * width, x: tokens + sample * patches * width, position + width,
                into: target + width)
        }
    }

    func backward(
        _ input: NetworkInput<S>, gradient: UnsafePointer<S>, _ run: BlockRun<S>,
        into target: UnsafeMutablePointer<S>
    ) {
        let mark = run.scratch.mark
        defer { run.scratch.release(to: mark) }
        let tokens = run.scratch.take(run.samples * patches * width)
        for sample in 0..<run.samples {
            let rows = gradient + sample * length * width
            addInto(width, rows, target + cls)
            addInto(length * width, rows, target + positions)
            (tokens + sample * patches * width).update(from: rows + width, count: patches * width)
        }
        projection.accumulateGradient(
            rows: run.samples * patches, patchRows(input, run), dy: tokens, into: target)
    }
}
