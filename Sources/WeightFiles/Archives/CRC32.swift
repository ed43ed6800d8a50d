/// The checksum of gzip and zip (polynomial 0xEDB88320, reflected), eight bytes at a time.
struct CRC32 {
    private var state: UInt32 = 0xFFFF_FFFF

    var value: UInt32 { ~state }

    mutating func update(_ bytes: UnsafeRawBufferPointer) {
        guard let base = bytes.baseAddress else { return }
        var crc = state
        CRC32.tables.withUnsafeBufferPointer { table in
            var i = 0
            while i &+ 8 <= bytes.count {
                let low = UInt32(littleEndian: base.loadUnaligned(fromByteOffset: i, as: UInt32.self)) ^ crc
                let high = UInt32(littleEndian: base.loadUnaligned(fromByteOffset: i &+ 4, as: UInt32.self))
                let first = table[Int(0x700 | low & 0xFF)] ^ table[Int(0x600 | low >> 8 & 0xFF)]
                let second = table[Int(0x500 | low >> 16 & 0xFF)] ^ table[Int(0x400 | low >> 24)]
                let third = table[Int(0x300 | high & 0xFF)] ^ table[Int(0x200 | high >> 8 & 0xFF)]
                let fourth = table[Int(0x100 | high >> 16 & 0xFF)] ^ table[Int(high >> 24)]
                crc = first ^ second ^ third ^ fourth
                i &+= 8
            }
            while i < bytes.count {
                crc = table[Int((crc ^ UInt32(bytes[i])) & 0xFF)] ^ crc >> 8
                i &+= 1
            }
        }
        state = crc
    }

    /// Eight tables of 256: entry `256·k + b` advances byte `b` by `k` further bytes.
    private static let tables: [UInt32] = {
        var tables = [UInt32](repeating: 0, count: 8 * 256)
        for byte in 0..<256 {
            var value = UInt32(byte)
            for _ in 0..<8 { value = value & 1 == 1 ? value >> 1 ^ 0xEDB8_8320 : value >> 1 }
            tables[byte] = value
        }
        for i in 256..<8 * 256 { tables[i] = tables[i - 256] >> 8 ^ tables[Int(tables[i - 256] & 0xFF)] }
        return tables
    }()
}
