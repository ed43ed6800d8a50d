import Diagnostics
import Tensors

/// Which entries the random rules keep (merge-methods 2.4): one uniform number per entry and operand, a pure function of
/// the seed, the adapter's content, the module and the entry's position, so that neither the order of the adapters nor
/// blocks nor threads matter. A mask from a file takes its place.
struct EntryMasks: Sendable {
    private enum Source: Sendable {
        case drawn(CounterRandom)
        case given(TensorView)
    }

    /// By operand; nil where no mask is needed.
    private let sources: [Source?]

    /// - Parameters:
    ///   - stream: name of the rule; the same for the same draws.
    ///   - part: `delta`, `lora_A` or `lora_B`.
    ///   - counts: entries of each operand's mask; nil where the operand needs none.
    /// - Throws: `recipe.seed_required` where a mask has to be drawn without a seed, `merge.shape_mismatch`,
    ///   `adapter.bad_dtype`, and what opening the file throws.
    init(_ context: MethodContext, stream: String, part: String, counts: [Int?]) throws {
        let path = context.value("mask_file")?.text
        sources = try counts.enumerated().map { operand, count in
            guard let count else { return nil }
            if let path {
                let name = EntryMasks.name(context, part, operand)
                if let mask = try context.files.tensor(name, in: path) {
                    try EntryMasks.check(mask, count, path)
                    return .given(mask)
                }
                context.remarks.add("the mask file has no '\(name)': the mask was drawn from the seed")
            }
            guard let seed = context.seed else {
                throw Failure(
                    .recipeSeedRequired, "'\(context.method.id)' draws random numbers and the recipe gives no seed",
                    place: context.module, hint: "add seed: 42 (any whole number), or --set seed=42")
            }
            let identity = context.contentID(context.operandIndices[operand])
            return .drawn(CounterRandom(seed: seed, stream: "\(stream).\(part)", identity, context.module))
        }
    }

    /// `mask.<module>.<part>.<adapter>`; for checkpoints `mask.<tensor>.<model>`.
    private static func name(_ context: MethodContext, _ part: String, _ operand: Int) -> String {
        let adapter = context.adapterNames[operand]
        return context.form == .adapters
            ? "mask.\(context.module).\(part).\(adapter)" : "mask.\(context.module).\(adapter)"
    }

    private static func check(_ mask: TensorView, _ count: Int, _ path: String) throws {
        guard mask.count == count else {
            throw Failure(
                .mergeShapeMismatch, "'\(mask.name)' has \(mask.count) entries, needed are \(count)", path: path,
                details: ["expected": "\(count)", "found": "\(mask.count)"])
        }
        guard mask.dtype == .f32 || mask.dtype == .u8 || mask.dtype == .bool else {
            throw Failure(
                .adapterBadDtype, "'\(mask.name)' is \(mask.dtype.rawValue); a mask is F32 or U8", path: path)
        }
    }

    /// Numbers for the entries from `start` on: an entry with keep probability p > 0 is kept exactly when its number is
    /// below p. Drawn ones are uniform in [0, 1); a given mask gives 0 where it keeps and 2 where it drops.
    func fill(_ operand: Int, from start: Int, _ target: UnsafeMutableBufferPointer<Float>) {
        switch sources[operand] {
        case nil: target.update(repeating: 0)
        case .drawn(let random): random.fillUniforms(from: UInt64(start), into: target)
        case .given(let mask):
            let size = mask.dtype.bits / 8
            for e in 0..<target.count {
                let kept: Bool =
                    size == 1
                    ? mask.bytes[start + e] != 0
                    : mask.bytes.loadUnaligned(fromByteOffset: (start + e) * 4, as: Float.self) != 0
                target[e] = kept ? 0 : 2
            }
        }
    }
}

extension ParameterDeclaration {
    static let maskFile = ParameterDeclaration(
        "mask_file", .file,
        summary: "safetensors file with the masks to use, mask.<module>.delta.<adapter>, instead of drawn ones")
}
