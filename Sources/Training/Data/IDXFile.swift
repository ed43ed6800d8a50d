import Diagnostics
import WeightFiles

/// An IDX file (the format of MNIST), plain or gzip-compressed: unsigned bytes with any number of dimensions.
public struct IDXFile: Sendable, Hashable {
    public var dimensions: [Int]
    public var bytes: [UInt8]

    /// - Throws: `data.malformed` when the header and the length disagree, `data.unsupported` for other element types.
    public init(path: String) throws {
        let content = try CompressedFile.read(path, maximumBytes: 4 << 30)
        guard content.count >= 4, content[0] == 0, content[1] == 0 else {
            throw Failure(.dataMalformed, "not an IDX file: the first two bytes must be zero", path: path)
        }
        guard content[2] == 0x08 else {
            throw Failure(
                .dataUnsupported, "IDX element type 0x\(String(content[2], radix: 16)) is not implemented", path: path,
                hint: "unsigned bytes (0x08) are")
        }
        let rank = Int(content[3])
        let header = 4 + 4 * rank
        guard rank >= 1, content.count >= header else {
            throw Failure(.dataMalformed, "the IDX header is cut short", path: path)
        }
        var dimensions: [Int] = []
        var total = 1
        for axis in 0..<rank {
            let size = content[(4 + 4 * axis)..<(8 + 4 * axis)].reduce(0) { $0 << 8 | Int($1) }
            let (product, overflow) = total.multipliedReportingOverflow(by: size)
            guard !overflow else { throw Failure(.dataMalformed, "the IDX sizes overflow", path: path) }
            total = product
            dimensions.append(size)
        }
        guard content.count - header == total else {
            throw Failure(
                .dataMalformed, "the header promises \(total) bytes, the file holds \(content.count - header)",
                path: path, details: ["expected": "\(total)", "found": "\(content.count - header)"])
        }
        self.dimensions = dimensions
        self.bytes = Array(content[header...])
    }

    /// The content as images: [n, height, width] or [n, channels, height, width].
    func images(path: String) throws -> ImageSet {
        switch dimensions.count {
        case 3:
            return ImageSet(
                shape: ImageShape(channels: 1, height: dimensions[1], width: dimensions[2]), pixels: bytes)
        case 4:
            return ImageSet(
                shape: ImageShape(channels: dimensions[1], height: dimensions[2], width: dimensions[3]), pixels: bytes)
        default:
            throw Failure(.dataMalformed, "images need 3 or 4 dimensions, not \(dimensions.count)", path: path)
        }
    }
}
