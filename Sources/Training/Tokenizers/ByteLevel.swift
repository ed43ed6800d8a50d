/// The reversible map between bytes and printable characters that byte-level BPE vocabularies are written in (GPT-2).
enum ByteLevel {
    /// `characters[byte]`: printable Latin-1 bytes stand for themselves, the others move to U+0100 and up.
    static let characters: [Unicode.Scalar] = {
        var table = [Unicode.Scalar](repeating: " ", count: 256)
        var next: UInt32 = 0x100
        for byte in 0..<256 {
            let isPrintable = (33...126).contains(byte) || (161...172).contains(byte) || (174...255).contains(byte)
            let value = isPrintable ? UInt32(byte) : next
            if !isPrintable { next += 1 }
            table[byte] = Unicode.Scalar(value) ?? " "
        }
        return table
    }()

    static let bytes: [Unicode.Scalar: UInt8] = Dictionary(
        uniqueKeysWithValues: characters.enumerated().map { ($1, UInt8($0)) })

    static func encoded(_ text: String) -> String {
        var scalars = String.UnicodeScalarView()
        for byte in text.utf8 { scalars.append(characters[Int(byte)]) }
        return String(scalars)
    }

    /// The bytes of an encoded token; characters outside the map stand for their own UTF-8.
    static func decoded(_ token: String) -> [UInt8] {
        token.unicodeScalars.flatMap { scalar in bytes[scalar].map { [$0] } ?? Array(String(scalar).utf8) }
    }
}
