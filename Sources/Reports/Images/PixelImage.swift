/// A small image as bytes, for pages: grey, or red, green and blue.
public struct PixelImage: Sendable, Hashable {
    public let width: Int
    public let height: Int
    /// Whether there are three bytes per pixel instead of one.
    public let isColour: Bool
    /// Row by row, the bytes of a pixel side by side.
    public let pixels: [UInt8]

    /// - Returns: nil when the number of bytes is not that of the size, or there is no pixel.
    public init?(width: Int, height: Int, isColour: Bool, pixels: [UInt8]) {
        guard width > 0, height > 0, pixels.count == width * height * (isColour ? 3 : 1) else { return nil }
        self.width = width
        self.height = height
        self.isColour = isColour
        self.pixels = pixels
    }

    private var bytesPerPixel: Int { isColour ? 3 : 1 }

    /// The image made smaller, so that no side has more than `side` pixels: each pixel is the mean of those that it
    /// covers, rounded. Smaller images stay as they are.
    public func shrunk(to side: Int) -> PixelImage {
        let longer = max(width, height)
        guard longer > side, side > 0 else { return self }
        let columns = max(1, width * side / longer)
        let rows = max(1, height * side / longer)
        let depth = bytesPerPixel
        var result = [UInt8](repeating: 0, count: columns * rows * depth)
        for row in 0..<rows {
            let top = row * height / rows
            let bottom = max(top + 1, (row + 1) * height / rows)
            for column in 0..<columns {
                let left = column * width / columns
                let right = max(left + 1, (column + 1) * width / columns)
                let area = (bottom - top) * (right - left)
                for channel in 0..<depth {
                    var sum = area / 2
                    for y in top..<bottom {
                        for x in left..<right { sum += Int(pixels[(y * width + x) * depth + channel]) }
                    }
                    result[(row * columns + column) * depth + channel] = UInt8(sum / area)
                }
            }
        }
        return PixelImage(width: columns, height: rows, isColour: isColour, pixels: result) ?? self
    }

    /// The image as a PNG file (W3C PNG, third edition), its data stored without compression: the images are small, and
    /// the same image gives the same bytes everywhere.
    public var png: [UInt8] {
        let depth = bytesPerPixel
        var lines: [UInt8] = []
        lines.reserveCapacity(height * (1 + width * depth))
        for row in 0..<height {
            lines.append(0)
            lines += pixels[row * width * depth..<(row + 1) * width * depth]
        }
        let header = Self.word(width) + Self.word(height) + [8, isColour ? 2 : 0, 0, 0, 0]
        return [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A] + Self.chunk("IHDR", header)
            + Self.chunk("IDAT", Self.stored(lines)) + Self.chunk("IEND", [])
    }

    /// The PNG file as a `data:` address.
    public var dataURI: String { "data:image/png;base64," + Self.base64(png) }
}

// MARK: - Bytes

extension PixelImage {
    /// Big-endian.
    private static func word(_ value: Int) -> [UInt8] { word(UInt32(truncatingIfNeeded: value)) }

    private static func word(_ value: UInt32) -> [UInt8] {
        [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: value >> UInt32($0)) }
    }

    private static func chunk(_ kind: String, _ content: [UInt8]) -> [UInt8] {
        let body = Array(kind.utf8) + content
        return word(content.count) + body + word(checksum(body))
    }

    /// CRC-32 of ISO 3309, as PNG wants it.
    private static func checksum(_ bytes: [UInt8]) -> UInt32 {
        var crc: UInt32 = 0xFFFF_FFFF
        for byte in bytes {
            crc ^= UInt32(byte)
            for _ in 0..<8 { crc = crc & 1 == 1 ? crc >> 1 ^ 0xEDB8_8320 : crc >> 1 }
        }
        return ~crc
    }

    /// A zlib stream (RFC 1950) of stored blocks (RFC 1951, 3.2.4).
    private static func stored(_ bytes: [UInt8]) -> [UInt8] {
        var result: [UInt8] = [0x78, 0x01]
        var start = 0
        repeat {
            let end = min(bytes.count, start + 65_535)
            let count = UInt16(end - start)
            result.append(end == bytes.count ? 1 : 0)
            for part in [count, ~count] { result += [UInt8(part & 0xFF), UInt8(part >> 8)] }
            result += bytes[start..<end]
            start = end
        } while start < bytes.count
        var (a, b): (UInt32, UInt32) = (1, 0)
        for byte in bytes {
            a = (a + UInt32(byte)) % 65_521
            b = (b + a) % 65_521
        }
        return result + word(b << 16 | a)
    }

    private static let digits = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

    /// RFC 4648, section 4.
    static func base64(_ bytes: [UInt8]) -> String {
        var text: [UInt8] = []
        text.reserveCapacity((bytes.count + 2) / 3 * 4)
        for start in stride(from: 0, to: bytes.count, by: 3) {
            let part = bytes[start..<min(start + 3, bytes.count)]
            let bits = part.reduce(UInt32(0)) { $0 << 8 | UInt32($1) } << UInt32(8 * (3 - part.count))
            for place in 0..<4 {
                text.append(place <= part.count ? digits[Int(bits >> UInt32(18 - 6 * place) & 63)] : UInt8(ascii: "="))
            }
        }
        return String(decoding: text, as: UTF8.self)
    }
}
