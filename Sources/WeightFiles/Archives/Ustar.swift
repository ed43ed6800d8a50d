/// The one header form of the bank's archives: POSIX ustar, everything but name and size fixed.
enum Ustar {
    static let blockSize = 512
    /// Eleven octal digits.
    static let maximumSize = 0o77_777_777_777
    static let maximumNameLength = 100

    /// Bytes of a member's content with its padding.
    static func paddedSize(_ size: Int) -> Int { (size + blockSize - 1) / blockSize * blockSize }

    /// The 512 bytes before a member's content. `name` and `size` must be valid.
    static func header(name: String, size: Int) -> [UInt8] {
        var block = [UInt8](repeating: 0, count: blockSize)
        func put(_ text: String, at offset: Int) {
            block.replaceSubrange(offset..<offset + text.utf8.count, with: text.utf8)
        }
        put(name, at: 0)
        put("0000644", at: 100)
        put("0000000", at: 108)
        put("0000000", at: 116)
        put(octal(size, digits: 11), at: 124)
        put("00000000000", at: 136)
        put("        ", at: 148)
        put("0", at: 156)
        put("ustar", at: 257)
        put("00", at: 263)
        put("0000000", at: 329)
        put("0000000", at: 337)
        let sum = block.reduce(0) { $0 + Int($1) }
        put(octal(sum, digits: 6), at: 148)
        block[154] = 0
        return block
    }

    /// A name that every tar program writes and reads the same way, and that is a plain relative path.
    static func isValidName(_ name: String) -> Bool {
        let bytes = Array(name.utf8)
        guard (1...maximumNameLength).contains(bytes.count), bytes.allSatisfy({ (0x20...0x7E).contains($0) }),
            !bytes.contains(UInt8(ascii: "\\"))
        else { return false }
        return bytes.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false).allSatisfy {
            !$0.isEmpty && $0 != [UInt8(ascii: ".")] && $0 != [UInt8(ascii: "."), UInt8(ascii: ".")]
        }
    }

    /// The number in an octal field that is filled with digits, nil when it is anything else.
    static func number(_ field: some Collection<UInt8>) -> Int? {
        guard field.count <= 11, field.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "7")).contains($0) }) else {
            return nil
        }
        return field.reduce(0) { $0 << 3 | Int($1 & 7) }
    }

    private static func octal(_ value: Int, digits: Int) -> String {
        let text = String(value, radix: 8)
        return String(repeating: "0", count: max(0, digits - text.utf8.count)) + text
    }
}
