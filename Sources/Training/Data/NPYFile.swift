import Diagnostics
import WeightFiles

/// An array of a `.npy` file: unsigned bytes or integers, C order.
public struct NPYFile: Sendable, Hashable {
    public var shape: [Int]
    public var values: [Int]

    /// - Throws: `data.malformed` for damaged files, `data.unsupported` for floating-point or Fortran-order arrays.
    public init(bytes: [UInt8], path: String, place: String? = nil) throws {
        guard bytes.count >= 10, bytes.starts(with: [0x93] + Array("NUMPY".utf8)) else {
            throw Failure(.dataMalformed, "not a NumPy array", path: path, place: place)
        }
        let isLong = bytes[6] >= 2
        let start = isLong ? 12 : 10
        guard bytes.count >= start else {
            throw Failure(.dataMalformed, "the header is cut short", path: path, place: place)
        }
        let length = bytes[8..<start].reversed().reduce(0) { $0 << 8 | Int($1) }
        guard length <= bytes.count - start else {
            throw Failure(.dataMalformed, "the header is cut short", path: path, place: place)
        }
        let header = String(decoding: bytes[start..<(start + length)], as: UTF8.self)
        guard let type = Self.quoted(after: "'descr':", in: header), header.contains("'fortran_order': False") else {
            throw Failure(
                .dataUnsupported, "only C-order arrays of a simple type are implemented", path: path, place: place)
        }
        guard let shape = Self.shape(in: header) else {
            throw Failure(.dataMalformed, "the header names no shape", path: path, place: place)
        }
        let width: Int
        switch type {
        case "|u1", "|b1", "|i1": width = 1
        case "<i2", "<u2": width = 2
        case "<i4", "<u4": width = 4
        case "<i8", "<u8": width = 8
        default: throw Failure(.dataUnsupported, "element type '\(type)' is not implemented", path: path, place: place)
        }
        var count = 1
        for side in shape {
            let (product, overflow) = count.multipliedReportingOverflow(by: side)
            guard !overflow else { throw Failure(.dataMalformed, "the shape overflows", path: path, place: place) }
            count = product
        }
        let payload = bytes[(start + length)...]
        guard payload.count / width == count, payload.count % width == 0 else {
            throw Failure(
                .dataMalformed, "the shape promises \(count) elements, the file holds \(payload.count / width)",
                path: path,
                place: place)
        }
        self.shape = shape
        let isSigned = type.contains("i")
        values = Self.integers(payload, width: width, isSigned: isSigned)
    }

    private static func integers(_ payload: ArraySlice<UInt8>, width: Int, isSigned: Bool) -> [Int] {
        stride(from: payload.startIndex, to: payload.endIndex, by: width).map { start in
            var value: UInt64 = 0
            for offset in 0..<width { value |= UInt64(payload[start + offset]) << UInt64(8 * offset) }
            let shift = UInt64(64 - 8 * width)
            return isSigned ? Int(Int64(bitPattern: value << shift) >> Int64(shift)) : Int(truncatingIfNeeded: value)
        }
    }

    private static func quoted(after key: String, in header: String) -> String? {
        guard let range = header.firstRange(of: key) else { return nil }
        let parts = header[range.upperBound...].split(separator: "'", maxSplits: 2, omittingEmptySubsequences: false)
        return parts.count >= 2 ? String(parts[1]) : nil
    }

    private static func shape(in header: String) -> [Int]? {
        guard let key = header.firstRange(of: "'shape':"),
            let open = header[key.upperBound...].firstIndex(of: "("),
            let close = header[open...].firstIndex(of: ")")
        else { return nil }
        let fields = header[header.index(after: open)..<close].split(separator: ",")
        let sizes = fields.compactMap { field in Int(field.filter { $0 != " " }) }.filter { $0 >= 0 }
        return sizes.count == fields.count ? sizes : nil
    }
}
