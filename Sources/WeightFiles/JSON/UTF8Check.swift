/// Validation of UTF-8 by the table of well-formed byte sequences of the Unicode standard (table 3-7).
enum UTF8Check {
    /// The offset of the first byte of the first ill-formed sequence, nil when all of `bytes` is UTF-8.
    static func firstInvalidOffset(_ bytes: UnsafeRawBufferPointer) -> Int? {
        guard let base = bytes.baseAddress else { return nil }
        let count = bytes.count
        var i = 0
        while i < count {
            // Eight ASCII bytes at a time: the usual case.
            while i &+ 8 <= count, base.loadUnaligned(fromByteOffset: i, as: UInt64.self) & 0x8080_8080_8080_8080 == 0 {
                i &+= 8
            }
            guard i < count else { break }
            let lead = bytes[i]
            if lead < 0x80 {
                i &+= 1
                continue
            }
            let length = sequenceLength(lead: lead)
            guard length > 0, i &+ length <= count, isSecond(bytes[i &+ 1], after: lead) else { return i }
            for k in 2..<max(2, length) where bytes[i &+ k] & 0xC0 != 0x80 { return i }
            i &+= length
        }
        return nil
    }

    /// Bytes of a sequence that begins with `lead`, 0 when none does.
    private static func sequenceLength(lead: UInt8) -> Int {
        switch lead {
        case 0xC2...0xDF: 2
        case 0xE0...0xEF: 3
        case 0xF0...0xF4: 4
        default: 0
        }
    }

    /// The second byte decides about overlong forms, surrogates and values above U+10FFFF.
    private static func isSecond(_ byte: UInt8, after lead: UInt8) -> Bool {
        switch lead {
        case 0xE0: (0xA0...0xBF).contains(byte)
        case 0xED: (0x80...0x9F).contains(byte)
        case 0xF0: (0x90...0xBF).contains(byte)
        case 0xF4: (0x80...0x8F).contains(byte)
        default: byte & 0xC0 == 0x80
        }
    }
}
