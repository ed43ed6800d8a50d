import Diagnostics
import Foundation
import Tensors
import Testing

@testable import WeightFiles

@Suite struct SafetensorsFuzzTests {
    private typealias S = SafetensorsBytes

    private static let seeds: [[UInt8]] = [
        S.adapter,
        S.file(
            "{\(S.entry("a", "U8", "[3]", "0", "3")),\(S.entry("b", "F16", "[2,0]", "3", "3"))}  ", data: [1, 2, 3]),
        S.file("{\(S.entry("a", "F4", "[4]", "0", "2")),\(S.entry("b", "BF16", "[]", "2", "4"))}", data: [1, 2, 3, 4]),
    ]
    private static let tokens = [
        "\"a\":", "{", "}", "[0]", "0", "9223372036854775807", "18446744073709551615", "-1", "1e3", "F32", "F64",
        "BOOL",
        "\"shape\":[0],", "\"data_offsets\":[0,0],", "\"__metadata__\":{},", "4294967296", " ", ",", "\\u0000",
    ].map { Array($0.utf8) }

    /// 20,000 damaged files: no crash, only codes of this format, and what is accepted covers the data exactly.
    @Test(arguments: [11, 12] as [UInt64])
    func `mutations are refused or consistent`(seed: UInt64) throws {
        let scratch = try Scratch()
        let path = try scratch.write([0], as: "x.safetensors")
        let mapped = try MappedFile(path: path)
        var random = SeededGenerator(seed: seed)
        var accepted = 0
        var codes: Set<String> = []
        for round in 0..<10_000 {
            let bytes = SafetensorsFuzzTests.damaged(SafetensorsFuzzTests.seeds[round % 3], &random)
            do {
                let header = try bytes.withUnsafeBytes { try SafetensorsHeader($0, path: mapped.path) }
                accepted += 1
                SafetensorsFuzzTests.checkConsistency(header, fileSize: bytes.count)
            } catch let failure as Failure {
                codes.insert(failure.code.name)
                #expect(["safetensors", "file"].contains(failure.code.area), "\(failure)")
            }
        }
        #expect(accepted > 100)
        #expect(codes.count > 12, "\(codes.sorted())")
    }

    /// Damages the header and mostly repairs its length, so that later rules are reached.
    private static func damaged(_ file: [UInt8], _ random: inout SeededGenerator) -> [UInt8] {
        if Int.random(in: 0..<5, using: &random) == 0 { return Mutation.apply(file, tokens: tokens, &random) }
        let length = Int(file.withUnsafeBytes { $0.loadUnaligned(as: UInt64.self) })
        let header = Mutation.apply(Array(file[8..<8 + length]), tokens: tokens, &random)
        return SafetensorsBytes.file(header, data: Array(file[(8 + length)...]))
    }

    private static func checkConsistency(_ header: SafetensorsHeader, fileSize: Int) {
        var end = 0
        for entry in header.entries {
            #expect(entry.begin == end)
            #expect(entry.shape.reduce(entry.dtype.bits, *) == 8 * (entry.end - entry.begin))
            end = entry.end
        }
        #expect(header.dataStart + end == fileSize)
        #expect(Set(header.entries.map(\.name)).count == header.entries.count)
    }
}
