import Diagnostics
import Digests
import WeightFiles

/// The hash chain of the audit log: makes the next row, and finds every changed, missing, added or exchanged one.
///
/// The chain shows tampering, it cannot prevent it: whoever can rewrite the whole file can rebuild the chain. Hence the
/// head is noted elsewhere (`lorabank audit head`) and compared later (`AuditHead`).
public enum AuditChain {
    /// What stands before row 1: the SHA-256 of the bank's id.
    public static func genesis(bankID: String) -> [UInt8] { SHA256Digest.of(bankID).bytes }

    /// The row that follows `last`.
    ///
    /// - Parameters:
    ///   - last: sequence and hash of the newest row; nil for an empty log.
    ///   - at: RFC 3339, UTC.
    public static func next(
        after last: (sequence: Int, hash: [UInt8])?, bankID: String, at: String, actor: String, action: String,
        subject: String, details: JSONValue
    ) -> AuditEntry {
        var entry = AuditEntry(
            sequence: (last?.sequence ?? 0) + 1, at: at, actor: actor, action: action, subject: subject,
            details: CanonicalJSON.text(details), previous: last?.hash ?? genesis(bankID: bankID), hash: [])
        entry.hash = hash(of: entry)
        return entry
    }

    /// The hash that `entry` ought to have. `details` goes in as stored, so that any changed byte shows.
    public static func hash(of entry: AuditEntry) -> [UInt8] {
        func quoted(_ text: String) -> String { CanonicalJSON.text(.string(text)) }
        var hasher = SHA256Hasher()
        hasher.update(entry.previous)
        hasher.update(
            "{\"action\":\(quoted(entry.action)),\"actor\":\(quoted(entry.actor)),\"at\":\(quoted(entry.at)),")
        hasher.update("\"details\":\(entry.details),\"seq\":\(entry.sequence),\"subject\":\(quoted(entry.subject))}")
        return hasher.finish().bytes
    }
}

/// The newest row of a log, to be noted outside the bank: `SEQ:HASH`.
public struct AuditHead: Sendable, Hashable, CustomStringConvertible {
    public var sequence: Int
    /// 64 hexadecimal digits.
    public var hash: String

    public init(sequence: Int, hash: String) {
        self.sequence = sequence
        self.hash = hash
    }

    /// Reads `SEQ:HASH`.
    ///
    /// - Throws: `usage.bad_argument`.
    public init(parsing text: String) throws {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        let digits = Set("0123456789abcdef")
        guard parts.count == 2, let sequence = Int(parts[0]), sequence >= 0, parts[1].count == 64,
            parts[1].lowercased().allSatisfy(digits.contains)
        else {
            throw Failure(
                .usageBadArgument, "'\(text)' is no audit head",
                hint: "write SEQ:HASH as `lorabank audit head` prints it")
        }
        self.init(sequence: sequence, hash: parts[1].lowercased())
    }

    public var description: String { "\(sequence):\(hash)" }
}

/// Walks a log from its first row and remembers where it stands.
///
/// ```swift
/// var verifier = AuditVerifier(bankID: id, expecting: head)
/// for entry in log { try verifier.check(entry) }
/// try verifier.finish()
/// ```
public struct AuditVerifier: Sendable {
    private let expected: AuditHead?
    private var last: (sequence: Int, hash: [UInt8])
    private var expectedSeen: Bool

    /// - Parameter expecting: a head that was noted earlier; the log must still contain it.
    public init(bankID: String, expecting: AuditHead? = nil) {
        expected = expecting
        let genesis = AuditChain.genesis(bankID: bankID)
        last = (0, genesis)
        expectedSeen = expecting == nil || expecting == AuditHead(sequence: 0, hash: Hexadecimal.text(genesis))
    }

    /// The newest row seen so far; sequence 0 with the chain's start for an empty log.
    public var head: AuditHead { AuditHead(sequence: last.sequence, hash: Hexadecimal.text(last.hash)) }

    /// Takes the next row.
    ///
    /// - Throws: `bank.audit_chain` that names the row and what is wrong with it.
    public mutating func check(_ entry: AuditEntry) throws {
        guard entry.sequence == last.sequence + 1 else {
            throw broken(last.sequence + 1, "the row is missing; row \(entry.sequence) follows row \(last.sequence)")
        }
        guard entry.previous == last.hash else {
            throw broken(entry.sequence, "it does not continue the row before it")
        }
        guard AuditChain.hash(of: entry) == entry.hash else {
            throw broken(entry.sequence, "its content does not match its hash")
        }
        last = (entry.sequence, entry.hash)
        if let expected, expected.sequence == entry.sequence {
            guard expected == head else {
                throw broken(entry.sequence, "its hash differs from the expected \(expected.hash)")
            }
            expectedSeen = true
        }
    }

    /// - Throws: `bank.audit_chain` when the log ends before the expected head.
    public func finish() throws {
        guard expectedSeen else {
            let wanted = expected?.sequence ?? 0
            throw broken(wanted, "the log ends at row \(last.sequence): rows were cut off")
        }
    }

    private func broken(_ row: Int, _ what: String) -> Failure {
        Failure(
            .bankAuditChain, "audit row \(row): \(what)", place: "row \(row)",
            hint: "compare with a backup of the bank; decisions after row \(max(0, row - 1)) cannot be relied on",
            details: ["row": String(row)])
    }
}

/// Bytes as lower-case hexadecimal digits.
public enum Hexadecimal {
    public static func text(_ bytes: [UInt8]) -> String {
        let digits = Array("0123456789abcdef".utf8)
        var text: [UInt8] = []
        text.reserveCapacity(bytes.count * 2)
        for byte in bytes {
            text.append(digits[Int(byte >> 4)])
            text.append(digits[Int(byte & 15)])
        }
        return String(decoding: text, as: UTF8.self)
    }
}
