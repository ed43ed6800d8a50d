import Diagnostics
import Digests
import Governance
import Testing
import WeightFiles

@Suite struct AuditChainTests {
    static let bankID = "3f1c9d1e-0000-4000-8000-00000000beef"

    /// A log of 200 rows with different actors, actions and details.
    static let log: [AuditEntry] = {
        var entries: [AuditEntry] = []
        for row in 1...200 {
            let last = entries.last.map { (sequence: $0.sequence, hash: $0.hash) }
            entries.append(
                AuditChain.next(
                    after: last, bankID: bankID, at: "2026-01-01T00:\(row / 60):\(row % 60)Z",
                    actor: row % 3 == 0 ? "ada" : "grace", action: ["import", "tag", "approve"][row % 3],
                    subject: "アダプタ-\(row)@1",
                    details: .object([.init("n", .number(String(row))), .init("text", .string("a \"quoted\" \\ text"))])
                ))
        }
        return entries
    }()

    func verify(_ log: [AuditEntry], expecting head: AuditHead? = nil) throws -> AuditHead {
        var verifier = AuditVerifier(bankID: Self.bankID, expecting: head)
        for entry in log { try verifier.check(entry) }
        try verifier.finish()
        return verifier.head
    }

    func isBroken(_ log: [AuditEntry], expecting head: AuditHead? = nil) -> Bool {
        do {
            _ = try verify(log, expecting: head)
            return false
        } catch { return (error as? Failure)?.code == .bankAuditChain }
    }

    @Test func `an untouched log is sound and ends at its head`() throws {
        let head = try verify(Self.log)
        #expect(head.sequence == 200)
        #expect(head.hash == Hexadecimal.text(Self.log[199].hash))
        #expect(try verify(Self.log, expecting: head) == head)
        #expect(try verify(Self.log, expecting: AuditHead(parsing: head.description)) == head)
        #expect(try verify([]).sequence == 0)
    }

    @Test func `every change of any field of any row is found`() throws {
        typealias Mutation = (inout AuditEntry) -> Void
        let mutations: [Mutation] = [
            { $0.at += " " }, { $0.actor = "eve" }, { $0.action = "untag" }, { $0.subject += "1" },
            { $0.details = "{}" }, { $0.details += " " }, { $0.previous[0] ^= 1 }, { $0.hash[31] ^= 128 },
            { $0.sequence += 1 }, { $0.hash = [] }, { $0.details = $0.details.replacing("quoted", with: "quoteD") },
        ]
        let head = try verify(Self.log)
        for row in Self.log.indices {
            for (number, mutate) in mutations.enumerated() {
                var log = Self.log
                mutate(&log[row])
                #expect(isBroken(log, expecting: head), "mutation \(number) of row \(row + 1)")
            }
        }
    }

    @Test func `removed, added and exchanged rows are found`() throws {
        let head = try verify(Self.log)
        for row in Self.log.indices {
            var removed = Self.log
            removed.remove(at: row)
            #expect(isBroken(removed, expecting: head), "row \(row + 1) removed")
            var doubled = Self.log
            doubled.insert(Self.log[row], at: row)
            #expect(isBroken(doubled), "row \(row + 1) doubled")
            var swapped = Self.log
            swapped.swapAt(row, (row + 1) % Self.log.count)
            #expect(isBroken(swapped), "rows \(row + 1) and \(row + 2) exchanged")
        }
    }

    @Test func `a changed row with a recomputed hash breaks the row after it`() {
        var log = Self.log
        log[99].actor = "eve"
        log[99].hash = AuditChain.hash(of: log[99])
        #expect(isBroken(log))
    }

    @Test func `only the head noted elsewhere shows that rows were cut off`() throws {
        let head = try verify(Self.log)
        let short = Array(Self.log.dropLast(5))
        #expect(!isBroken(short))
        #expect(isBroken(short, expecting: head))
    }

    @Test func `a rebuilt chain differs from the noted head`() throws {
        let noted = try verify(Array(Self.log.prefix(150)))
        var forged = Array(Self.log.prefix(100))
        for old in Self.log[100...] {
            forged.append(
                AuditChain.next(
                    after: forged.last.map { (sequence: $0.sequence, hash: $0.hash) }, bankID: Self.bankID, at: old.at,
                    actor: "eve", action: old.action, subject: old.subject, details: .object([])))
        }
        #expect(!isBroken(forged))
        #expect(isBroken(forged, expecting: noted))
    }

    @Test func `another bank's log does not pass`() {
        var verifier = AuditVerifier(bankID: "another")
        #expect(throws: Failure.self) { try verifier.check(Self.log[0]) }
    }

    @Test(arguments: [
        "", "5", "5:ab", ":", "x:" + String(repeating: "a", count: 64), "1:" + String(repeating: "g", count: 64),
    ])
    func `bad heads are refused`(_ text: String) {
        #expect(throws: Failure.self) { try AuditHead(parsing: text) }
    }

    @Test func `a row hashes the bytes that the specification names`() {
        let entry = Self.log[0]
        // SHA-256 of prev ‖ {"action":…,"actor":…,"at":…,"details":…,"seq":1,"subject":…}
        let text =
            "{\"action\":\"tag\",\"actor\":\"grace\",\"at\":\"2026-01-01T00:0:1Z\","
            + "\"details\":{\"n\":1,\"text\":\"a \\\"quoted\\\" \\\\ text\"},\"seq\":1,\"subject\":\"アダプタ-1@1\"}"
        #expect(SHA256Digest.of(SHA256Digest.of(Self.bankID).bytes + Array(text.utf8)).bytes == entry.hash)
    }
}

@Suite struct CanonicalJSONTests {
    @Test(arguments: [
        (#"{"b":1,"a":[true,null,"x"]}"#, #"{"a":[true,null,"x"],"b":1}"#),
        (#"{"n": 1.0, "m": 1e3, "o": -0.5, "p": 0.10}"#, #"{"m":1000,"n":1,"o":-0.5,"p":0.1}"#),
        (#"{"ä":"日本\u0001\n","z":{"b":{},"a":[]}}"#, "{\"z\":{\"a\":[],\"b\":{}},\"ä\":\"日本\\u0001\\n\"}"),
        (#"12345678901234567890"#, "1.2345678901234567e+19"),
    ])
    func `equal values have one text`(_ written: String, _ expected: String) throws {
        let value = try StrictJSON.parse(written, .configuration)
        #expect(CanonicalJSON.text(value) == expected)
        #expect(try CanonicalJSON.text(StrictJSON.parse(expected, .configuration)) == expected)
    }
}
