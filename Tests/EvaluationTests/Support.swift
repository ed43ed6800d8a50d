import Adapters
import Diagnostics
import Foundation
import Settings
import Tensors
import Testing
import WeightFiles

@testable import Evaluation

/// One of the tiny suites of `scripts/make_suite_fixtures.py`.
struct TinySuite {
    let folder: String
    let expected: JSONValue
    let loaded: LoadedSuite

    init(_ name: String, _ settings: String...) throws {
        folder = try #require(Bundle.module.resourcePath) + "/Fixtures/" + name
        let text = try String(contentsOfFile: folder + "/expected.json", encoding: .utf8)
        expected = try StrictJSON.parse(text, .configuration)
        let suite = try SuiteReader.read(
            path: folder + "/suite.yaml", overrides: settings.map { try SettingOverride($0) })
        loaded = try LoadedSuite(suite)
    }

    func adapter(_ name: String) throws -> Adapter { try AdapterReader.read(path: folder + "/" + name) }

    func subject(_ name: String) throws -> Subject {
        Subject(label: name, kind: .adapter(try adapter(name)))
    }

    func oracle(_ names: [String]) throws -> Subject {
        Subject(
            label: "oracle", kind: .perTask(try names.map { Subject.Member(key: $0, adapter: try adapter($0)) }))
    }

    func predictions(_ entry: String) throws -> [Int] {
        try #require(expected[entry]?["predictions"]?.array).compactMap { $0.integer }
    }

    func evaluator(threads: Int = 1, folding: Folding = .automatic, memory: Int = 1 << 30) -> Evaluator {
        var options = Evaluator.Options()
        options.threads = threads
        options.folding = folding
        options.memoryLimitBytes = memory
        return Evaluator(loaded, options: options)
    }
}

/// The failure that `body` throws.
func failure(_ body: () throws -> some Any) -> Failure? {
    do {
        _ = try body()
        return nil
    } catch { return error as? Failure }
}

/// Counts the samples that were reported.
final class CountingProgress: Diagnostics.ProgressReporting, @unchecked Sendable {
    private let lock = NSLock()
    private(set) var totals: [Int64] = []
    private(set) var done: Int64 = 0

    func begin(_ title: String, total: Int64?, unit: String) { lock.withLock { totals.append(total ?? -1) } }
    func advance(by amount: Int64) { lock.withLock { done += amount } }
    func note(_ text: String) {}
    func end() {}
}
