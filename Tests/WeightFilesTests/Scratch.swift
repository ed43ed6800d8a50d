import Diagnostics
import Foundation
import Testing

@testable import WeightFiles

/// A folder for one test, removed with the object.
final class Scratch {
    let path: String

    init() throws {
        path = NSTemporaryDirectory() + "/lorabank-weightfiles-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func callAsFunction(_ name: String) -> String { path + "/" + name }

    /// Writes a file and gives its path.
    @discardableResult
    func write(_ bytes: [UInt8], as name: String) throws -> String {
        let file = self(name)
        try FileManager.default.createDirectory(
            atPath: (file as NSString).deletingLastPathComponent, withIntermediateDirectories: true)
        try Data(bytes).write(to: URL(fileURLWithPath: file))
        return file
    }

    func read(_ name: String) throws -> [UInt8] { Array(try Data(contentsOf: URL(fileURLWithPath: self(name)))) }

    /// Names in the folder, hidden ones too.
    var names: [String] { ((try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []).sorted() }
}

/// The code of the failure that `body` throws; nil when it succeeds.
func code(_ body: () throws -> Void) -> String? {
    do {
        try body()
        return nil
    } catch {
        return (error as? Failure)?.code.name ?? "\(type(of: error))"
    }
}

/// SplitMix64: the same mutations in every run.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ z >> 30) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ z >> 27) &* 0x94D0_49BB_1331_11EB
        return z ^ z >> 31
    }
}

/// Changes bytes the way damage and attackers do.
enum Mutation {
    static func apply(_ bytes: [UInt8], tokens: [[UInt8]], _ random: inout SeededGenerator) -> [UInt8] {
        var result = bytes
        for _ in 0..<Int.random(in: 1...3, using: &random) {
            let place = Int.random(in: 0...result.count, using: &random)
            switch Int.random(in: 0..<6, using: &random) {
            case 0 where place < result.count: result[place] ^= 1 << UInt8.random(in: 0..<8, using: &random)
            case 1 where place < result.count: result[place] = UInt8.random(in: 0...255, using: &random)
            case 2: result.insert(UInt8.random(in: 0...255, using: &random), at: place)
            case 3: result.removeSubrange(place..<min(place + Int.random(in: 1...8, using: &random), result.count))
            case 4: result.insert(contentsOf: tokens.randomElement(using: &random) ?? [], at: place)
            default:
                let end = min(place + Int.random(in: 1...24, using: &random), result.count)
                result.insert(contentsOf: result[place..<end], at: Int.random(in: 0...result.count, using: &random))
            }
        }
        return result
    }
}
