import Adapters
import Diagnostics
import LinearAlgebra
import Tensors

/// Adapters replaced by their cores in a common basis: Δ_i = Q_B·C_i·Q_Aᵀ, of which only C_i is kept.
///
/// Methods of classes G and S commute with isometries: merging the cores gives the core of the merge. A search that
/// evaluates many candidates therefore never touches the full dimensions again. Where a method takes a number of
/// directions from the size of the matrix, cores are as large as T·max rank (or the matrix), so that it takes the same.
public struct CoreLibrary: AdapterLibrary {
    private let byReference: [String: [NamedAdapter]]

    /// - Parameters:
    ///   - adapters: what each reference of the recipe names.
    /// - Throws: `merge.unsupported_kind` for DoRA, biases and layers that are no matrices; `merge.non_finite`.
    public init(_ adapters: [(reference: String, adapters: [NamedAdapter])]) throws {
        let all = adapters.flatMap(\.adapters)
        let cores = try Self.cores(all)
        var next = 0
        var result: [String: [NamedAdapter]] = [:]
        for (reference, named) in adapters {
            result[reference] = named.map { item in
                defer { next += 1 }
                var copy = item
                copy.adapter.modules = cores[next]
                copy.adapter.saved = []
                return copy
            }
        }
        byReference = result
    }

    public func adapters(for reference: String, relativeTo folder: String) throws -> [NamedAdapter] {
        guard let found = byReference[reference] else {
            throw Failure(.referenceNotFound, "the search began without '\(reference)'", place: reference)
        }
        return found
    }

    /// Core modules of each adapter.
    private static func cores(_ adapters: [NamedAdapter]) throws -> [[LoRAModule]] {
        var result = [[LoRAModule]](repeating: [], count: adapters.count)
        for name in Set(adapters.flatMap { $0.adapter.modules.map(\.name) }).sorted() {
            let holders = adapters.indices.compactMap { index in
                adapters[index].adapter.modules.first { $0.name == name }.map { (index, $0) }
            }
            for (index, module) in holders
            where module.kind != .linear || module.magnitude != nil || module.bias != nil {
                throw Failure(
                    .mergeUnsupportedKind, "'\(adapters[index].name)' has more than a plain matrix update here",
                    place: name)
            }
            let factors = try holders.map { try $0.1.baseFactors() }
            let core = try JointCore(factors, place: name)
            let room = adapters.count * (factors.map(\.rank).max() ?? 1)
            let rows = min(factors[0].rows, max(core.leftSize, room))
            let columns = min(factors[0].columns, max(core.rightSize, room))
            for (position, (index, module)) in holders.enumerated() {
                let range = core.ranges[position]
                let b = padded(core.rLeft.columns(range), rows: rows)
                let a = padded(core.rRight.columns(range), rows: columns).transposed()
                var small = module
                small.dOut = rows
                small.dIn = columns
                small.deltaShape = [rows, columns]
                small.fanInFanOut = false
                small.b = try view("lora_B", b)
                small.a = try view("lora_A", a)
                result[index].append(small)
            }
        }
        return result
    }

    private static func padded(_ matrix: Matrix<Double>, rows: Int) -> Matrix<Double> {
        let missing = Matrix<Double>(rows: max(0, rows - matrix.rows), columns: matrix.columns)
        return Matrix.stacked([matrix, missing])
    }

    private static func view(_ name: String, _ matrix: Matrix<Double>) throws -> TensorView {
        let buffer = try TensorBuffer(name: name, dtype: .f32, matrix: matrix.inFloat)
        return TensorView(
            name: name, dtype: .f32, shape: buffer.shape, bytes: UnsafeRawBufferPointer(buffer.bytes), owner: buffer)
    }
}
