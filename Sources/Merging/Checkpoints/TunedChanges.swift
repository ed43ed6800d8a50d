import Adapters
import Diagnostics
import Foundation
import LinearAlgebra
import Tensors

/// What tuning changed in a checkpoint, sorted by how an adapter can hold it.
struct TunedChanges {
    /// Matrices, convolutions and embeddings, sorted by module.
    private(set) var matrices: [TunedMatrix] = []
    /// Whole tensors, sorted by name.
    private(set) var saved: [SavedTensor] = []
    /// Changes that no adapter can hold, one sentence each.
    private(set) var warnings: [String] = []

    /// - Throws: `merge.shape_mismatch`.
    init(_ base: Checkpoint, _ tuned: Checkpoint, _ workers: Workers) throws {
        let tensors = tuned.weights.tensors.sorted { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) }
        let flags = OrderedResults<Bool>(count: tensors.count)
        try workers.run(tensors.count) { index in
            flags.set(try TunedChanges.differs(tensors[index], base), at: index)
        }
        let changed = zip(tensors, flags.all).filter(\.1).map(\.0)
        var whole: Set<String> = []
        for tensor in changed { sort(tensor, base, tuned, &whole) }
        for module in whole.sorted() { add(module: module, tuned) }
        saved.sort { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) }
        for tensor in base.weights.tensors where tuned.view(tensor.name) == nil {
            warnings.append("'\(tensor.name)' of the base is missing in the tuned weights and stays as it is")
        }
    }

    private mutating func sort(
        _ tensor: TensorView, _ base: Checkpoint, _ tuned: Checkpoint, _ whole: inout Set<String>
    ) {
        guard tensor.dtype.isNumber else {
            warnings.append("'\(tensor.name)' of type \(tensor.dtype.rawValue) changed; an adapter cannot hold that")
            return
        }
        let parts = tensor.name.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count > 1, let last = parts.last, last == "weight" || last == "bias" else {
            warnings.append(
                "'\(tensor.name)' changed; it is no weight or bias of a module, so an adapter cannot hold it")
            return
        }
        let module = parts.dropLast().joined(separator: ".")
        let original = base.view(tensor.name)
        if last == "weight", tensor.shape.count >= 2, let original {
            matrices.append(TunedMatrix(module: module, base: original, tuned: tensor))
        } else if last == "bias", original != nil, (base.view(module + ".weight")?.shape.count ?? 0) >= 2 {
            saved.append(SavedTensor(name: tensor.name, role: .bias, tensor: tensor))
        } else {
            whole.insert(module)
        }
    }

    /// All tensors of a module that is stored as a whole.
    private mutating func add(module: String, _ tuned: Checkpoint) {
        for ending in [".weight", ".bias"] {
            guard let tensor = tuned.view(module + ending), !saved.contains(where: { $0.name == tensor.name }) else {
                continue
            }
            saved.append(SavedTensor(name: tensor.name, role: .savedModule, tensor: tensor))
        }
    }

    /// True when some number differs; equal bytes are not looked at any closer.
    private static func differs(_ tensor: TensorView, _ base: Checkpoint) throws -> Bool {
        guard let original = base.view(tensor.name) else { return true }
        guard original.shape == tensor.shape else {
            throw Failure(
                .mergeShapeMismatch, "the tuned tensor is \(tensor.shape), that of the base \(original.shape)",
                place: tensor.name, hint: "is this the base that the model was tuned from?",
                details: ["expected": "\(original.shape)", "found": "\(tensor.shape)"])
        }
        if original.dtype == tensor.dtype {
            guard let left = original.bytes.baseAddress, let right = tensor.bytes.baseAddress else { return false }
            defer {
                original.releasePages()
                tensor.releasePages()
            }
            return memcmp(left, right, tensor.bytes.count) != 0
        }
        guard original.dtype.isNumber, tensor.dtype.isNumber else { return true }
        return try TunedMatrix(module: tensor.name, base: original, tuned: tensor).sumOfSquares() != 0
    }
}

/// One changed matrix: rows × columns of W' − W, formed block by block.
struct TunedMatrix: StreamedOperator, Sendable {
    /// The tensor's name without `.weight`.
    let module: String
    let base: TensorView
    let tuned: TensorView

    private static let blockRows = 256

    var rows: Int { TensorGrid(shape: tuned.shape).rows }
    var columns: Int { TensorGrid(shape: tuned.shape).columns }

    /// Two axes: linear, unless the name says that it is a table of embeddings; more: a convolution.
    var kind: ModuleKind {
        guard tuned.shape.count == 2 else { return .convolution }
        let last = module.split(separator: ".").last.map { $0.lowercased() } ?? ""
        let tables = ["wte", "wpe", "shared"]
        let isTable = tables.contains(last) || (last.contains("embed") && !last.hasPrefix("embed_out"))
        return isTable ? .embedding : .linear
    }

    var nothing: Failure {
        Failure(
            .mergeNonfiniteResult, "the difference to the base is below what numbers of its type resolve", place: module
        )
    }

    func releasePages() {
        base.releasePages()
        tuned.releasePages()
    }

    /// W' − W.
    func difference() throws -> Matrix<Float> {
        try Matrix(rows: rows, columns: columns) { target in try fill(0..<rows, target) }
    }

    func sumOfSquares() throws -> Double {
        var total = 0.0
        try forEachBlock { _, block in total += ValueScan.sumOfSquares(of: block) }
        return total
    }

    func apply(_ x: Matrix<Float>) throws -> Matrix<Float> {
        let factor = NarrowFactor(x)
        return try Matrix(rows: rows, columns: x.columns) { target in
            try forEachBlock { rows, block in
                let part = target[rows.lowerBound * x.columns..<rows.upperBound * x.columns]
                block.elements.withUnsafeBufferPointer {
                    factor.product($0, into: UnsafeMutableBufferPointer(rebasing: part))
                }
            }
        }
    }

    func applyTransposed(_ y: Matrix<Float>) throws -> Matrix<Float> {
        var sum = Matrix<Float>(rows: columns, columns: y.columns)
        try forEachBlock { rows, block in
            block.elements.withUnsafeBufferPointer {
                NarrowFactor.addTransposedProduct($0, y.rows(rows), to: &sum)
            }
        }
        return sum
    }

    private func forEachBlock(_ body: (Range<Int>, Matrix<Float>) throws -> Void) throws {
        for start in stride(from: 0, to: rows, by: TunedMatrix.blockRows) {
            let range = start..<min(start + TunedMatrix.blockRows, rows)
            try body(range, try Matrix(rows: range.count, columns: columns) { try fill(range, $0) })
            let elements = range.lowerBound * columns..<range.upperBound * columns
            base.releasePages(elements: elements)
            tuned.releasePages(elements: elements)
        }
    }

    private func fill(_ rows: Range<Int>, _ target: UnsafeMutableBufferPointer<Float>) throws {
        let elements = rows.lowerBound * columns..<rows.upperBound * columns
        try tuned.copy(elements: elements, into: target)
        try withUnsafeTemporaryAllocation(of: Float.self, capacity: max(1, min(4096, target.count))) { scratch in
            for start in stride(from: 0, to: target.count, by: 4096) {
                let count = min(4096, target.count - start)
                let part = UnsafeMutableBufferPointer(rebasing: scratch[..<count])
                let first = elements.lowerBound + start
                try base.copy(elements: first..<first + count, into: part)
                for e in 0..<count { target[start + e] -= part[e] }
            }
        }
        guard ValueScan.firstNonFinite(UnsafeBufferPointer(target)) == nil else {
            let operand = TensorOperand(content: .weights(tuned), name: "the tuned model")
            throw try InputDefects.failure([operand], base: base)
                ?? Failure(.mergeNonfiniteResult, "the difference to the base overflows", place: module)
        }
    }
}
