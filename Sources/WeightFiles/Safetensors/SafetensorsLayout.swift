import Diagnostics
import Tensors

/// A tensor to be written.
public struct TensorDeclaration: Hashable, Sendable {
    public var name: String
    public var dtype: DType
    public var shape: [Int]

    public init(_ name: String, _ dtype: DType, _ shape: [Int]) {
        self.name = name
        self.dtype = dtype
        self.shape = shape
    }

    public init(_ tensor: TensorView) { self.init(tensor.name, tensor.dtype, tensor.shape) }
}

/// Where every tensor of a file to be written stands, and the bytes of its header.
///
/// Tensors are ordered by falling alignment of their type (U64, I64, F64, C64, F32, U32, I32, BF16, F16, U16, I16,
/// then the 8-bit types), then by name; the header is compact JSON, `__metadata__` first with its keys sorted, padded
/// with spaces to a multiple of 8. So the same tensors and metadata give the same bytes, whatever order they come in,
/// and the widest type starts aligned.
public struct SafetensorsLayout: Sendable {
    public struct Entry: Hashable, Sendable {
        public let name: String
        public let dtype: DType
        public let shape: [Int]
        /// Bytes of the file that hold the tensor.
        public let range: Range<Int>
    }

    /// In the order of the file.
    public let entries: [Entry]
    /// Length and JSON: the first bytes of the file.
    public let header: [UInt8]
    /// Bytes of the whole file.
    public let fileSize: Int
    private let index: [String: Int]

    /// - Throws: `safetensors.duplicate_key`, `safetensors.bad_shape`, `safetensors.shape_overflow`,
    ///   `safetensors.unaligned_subbyte`, `safetensors.header_too_large`.
    public init(_ tensors: [TensorDeclaration], metadata: [String: String] = [:]) throws {
        let sorted = tensors.sorted { a, b in
            let ranks = (a.dtype.layoutRank, b.dtype.layoutRank)
            return ranks.0 == ranks.1 ? a.name.utf8.lexicographicallyPrecedes(b.name.utf8) : ranks.0 < ranks.1
        }
        var offset = 0
        var ranges: [Range<Int>] = []
        for tensor in sorted {
            let (end, overflow) = offset.addingReportingOverflow(try tensor.byteCount())
            guard !overflow else {
                throw Failure(.safetensorsShapeOverflow, "the tensors are too large together", place: tensor.name)
            }
            ranges.append(offset..<end)
            offset = end
        }
        let header = try SafetensorsLayout.header(sorted, ranges, metadata)
        self.header = header
        entries = zip(sorted, ranges).map { tensor, range in
            Entry(
                name: tensor.name, dtype: tensor.dtype, shape: tensor.shape,
                range: header.count + range.lowerBound..<header.count + range.upperBound)
        }
        fileSize = header.count + offset
        var index: [String: Int] = [:]
        for (i, entry) in entries.enumerated() {
            guard entry.name != "__metadata__", index.updateValue(i, forKey: entry.name) == nil else {
                throw Failure(.safetensorsDuplicateKey, "two tensors of one name", place: entry.name)
            }
        }
        self.index = index
    }

    /// Position of a tensor in `entries`.
    public func position(of name: String) -> Int? { index[name] }

    private static func header(
        _ tensors: [TensorDeclaration], _ ranges: [Range<Int>], _ metadata: [String: String]
    ) throws -> [UInt8] {
        var members: [JSONValue.Member] = []
        if !metadata.isEmpty {
            let pairs = metadata.sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }
            members.append(.init("__metadata__", .object(pairs.map { .init($0.key, .string($0.value)) })))
        }
        for (tensor, range) in zip(tensors, ranges) {
            let fields: [JSONValue.Member] = [
                .init("dtype", .string(tensor.dtype.rawValue)),
                .init("shape", .array(tensor.shape.map { .integer($0) })),
                .init("data_offsets", .array([.integer(range.lowerBound), .integer(range.upperBound)])),
            ]
            members.append(.init(tensor.name, .object(fields)))
        }
        var text = Array(JSONValue.object(members).text(asciiOnly: false).utf8)
        text.append(contentsOf: repeatElement(UInt8(ascii: " "), count: (8 - text.count % 8) % 8))
        guard text.count <= SafetensorsHeader.maximumLength else {
            throw Failure(
                .safetensorsHeaderTooLarge,
                "the header would have \(text.count) bytes, the limit is "
                    + "\(SafetensorsHeader.maximumLength)")
        }
        return withUnsafeBytes(of: UInt64(text.count).littleEndian) { Array($0) } + text
    }
}

extension TensorDeclaration {
    /// Bytes of the tensor's elements.
    func byteCount() throws -> Int {
        var bits = dtype.bits
        for dimension in shape {
            guard dimension >= 0 else { throw Failure(.safetensorsBadShape, "shape \(shape)", place: name) }
            let (product, overflow) = bits.multipliedReportingOverflow(by: dimension)
            guard !overflow else {
                throw Failure(.safetensorsShapeOverflow, "shape \(shape) is too large", place: name)
            }
            bits = product
        }
        guard bits % 8 == 0 else {
            throw Failure(.safetensorsUnalignedSubbyte, "\(bits) bits are no whole number of bytes", place: name)
        }
        return bits / 8
    }
}

extension DType {
    /// Position in the order of writing: wide types first.
    fileprivate var layoutRank: Int { DType.layoutOrder.firstIndex(of: self) ?? DType.layoutOrder.count }

    /// The order of the reference writer (safetensors 0.8.0).
    private static let layoutOrder: [DType] = [
        .u64, .i64, .f64, .c64, .f32, .u32, .i32, .bf16, .f16, .u16, .i16, .f8e5m2fnuz, .f8e4m3fnuz, .f8e8m0, .f8e4m3,
        .f8e5m2, .i8, .u8, .f6e3m2, .f6e2m3, .f4, .bool,
    ]
}
