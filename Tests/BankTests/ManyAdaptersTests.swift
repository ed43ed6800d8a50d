import Adapters
import Diagnostics
import Digests
import Foundation
import Governance
import Testing

@testable import Bank

extension Bank {
    /// Enters adapters without objects, all in one transaction: `many-00000`, `many-00001`, …
    func insertMany(_ count: Int, like sample: Adapter) throws {
        let statistics = Inspector.inspect(sample).modules
        try change { change in
            for number in 0..<count {
                let digits = String(100_000 + number).dropFirst()
                var entry = AdapterEntry(namespace: "local", name: "many-\(digits)", source: "import")
                entry.object = SHA256Digest.of("object \(number)").hex
                entry.objectBytes = 1_000 + number
                entry.tags = [Tag(key: "task", value: "t\(number % 100)"), Tag(key: "even", value: String(number % 2))]
                entry.manifest = ObjectManifest(
                    layout: "peft", kind: "lora", base: "base-\(number % 10)", revision: "",
                    deltaID: SHA256Digest.of("delta \(number)").hex, modules: 2, parameters: 48,
                    rankMin: 1 + number % 8,
                    rankMax: 8, dtype: "F16", reading: ObjectManifest.ReadingFacts(), files: [])
                entry.modules = statistics
                _ = try change.insert(entry, state: number % 3 == 0 ? .approved : .pending)
            }
        }
    }
}

@Suite struct ManyAdaptersTests {
    @Test func `thousands of adapters are listed, found and resolved at once`() throws {
        let folder = try TemporaryFolder()
        let bank = try folder.newBank()
        let count = 3_000
        try bank.insertMany(count, like: AdapterReader.read(SampleAdapter().write(to: folder.file("sample"))))
        #expect(try bank.verifyAudit().sequence == count + 1)
        let start = ContinuousClock.now
        // A debug build; a release build lists 10,000 in less than a tenth of a second.
        #expect(try bank.list().count == count)
        let filter = ListFilter(tags: [TagFilter(key: "task", value: "t7")], states: [.approved])
        #expect(try bank.list(filter).count == 10)
        #expect(try bank.find("task:t7 rank<=8").count == 30)
        #expect(try bank.find("many-0123").count == 10)
        #expect(try bank.row(for: "many-02999").version == 1)
        #expect(try bank.rows(for: "tag:task=t42").count == 30)
        #expect(ContinuousClock.now - start < .seconds(10))
    }
}
