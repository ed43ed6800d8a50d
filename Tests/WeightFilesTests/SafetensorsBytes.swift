import Foundation

/// Builds safetensors files by hand, right ones and wrong ones.
enum SafetensorsBytes {
    static func file(_ header: String, data: [UInt8] = [], length: UInt64? = nil) -> [UInt8] {
        let text = Array(header.utf8)
        return withUnsafeBytes(of: (length ?? UInt64(text.count)).littleEndian) { Array($0) } + text + data
    }

    static func file(_ header: [UInt8], data: [UInt8] = []) -> [UInt8] {
        withUnsafeBytes(of: UInt64(header.count).littleEndian) { Array($0) } + header + data
    }

    static func entry(
        _ name: String, _ dtype: String = "F32", _ shape: String = "[4]", _ begin: String = "0", _ end: String = "16",
        extra: String = ""
    ) -> String {
        #""\#(name)":{"dtype":"\#(dtype)","shape":\#(shape),"data_offsets":[\#(begin),\#(end)]\#(extra)}"#
    }

    static func zeros(_ count: Int) -> [UInt8] { [UInt8](repeating: 0, count: count) }

    /// A small file as a real adapter has it: metadata, two F32 matrices.
    static let adapter: [UInt8] = {
        let header =
            #"{"__metadata__":{"format":"pt"},"# + entry("m.lora_A.weight", "F32", "[2,4]", "0", "32") + ","
            + entry("m.lora_B.weight", "F32", "[4,2]", "32", "64") + "}"
        return file(header, data: (0..<64).map { UInt8($0) })
    }()
}
