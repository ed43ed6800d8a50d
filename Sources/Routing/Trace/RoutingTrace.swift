import Diagnostics
import Digests
import Evaluation
import Foundation
import WeightFiles

/// Writes a trace line by line and seals it.
///
/// The summary's `digest` is the SHA-256 of all lines before it; its `seal` that of everything before the seal itself, so
/// that no byte can change unnoticed. A trace shows tampering, it cannot prevent it: whoever writes it anew can seal it.
public struct TraceWriter {
    private var bytes: [UInt8] = []
    private let lines: TraceLines
    private let header: TraceHeader
    private var quality: RoutingQualityTally

    public init(_ header: TraceHeader, taskNames: [String], tasks: ExpertTasks) {
        self.header = header
        lines = TraceLines(experts: header.experts.count, options: header.options, taskNames: taskNames)
        quality = RoutingQualityTally(experts: header.experts.count, tasks: tasks)
        append(header.json)
    }

    /// - Parameter name: the sample's place in the split.
    public mutating func add(_ trace: SampleTrace, name: Int, task: Int?, label: Int) {
        quality.add(trace, task: task)
        for record in lines.records(trace, name: name, task: task, label: label) { append(record) }
    }

    public var tally: RoutingQuality { quality.quality }

    /// The whole file.
    public mutating func finish() -> [UInt8] {
        var members = lines.summary(quality.quality)
        members.append(.init("digest", .string(SHA256Digest.of(bytes).hex)))
        let open = String(JSONValue.object(members).text().dropLast())
        let seal = SHA256Digest.of(bytes + Array(open.utf8)).hex
        return bytes + Array((open + ",\"seal\":\"\(seal)\"}\n").utf8)
    }

    private mutating func append(_ record: JSONValue) { bytes += Array((record.text() + "\n").utf8) }
}

/// A trace that was read and whose seal holds.
public struct RoutingTrace: Sendable {
    public let header: JSONValue
    /// Every line before the summary, the header first.
    public let lines: [String]
    public let summary: JSONValue
    public let digest: String

    /// - Throws: `router.bad_trace` for anything that a trace is not, and when a digest does not fit the lines.
    public init(path: String) throws {
        let content = try MappedBytes(path: path)
        try self.init(bytes: Array(content.bytes), path: path)
    }

    /// From the bytes of a file; `path` is for messages.
    public init(bytes: [UInt8], path: String? = nil) throws {
        func bad(_ message: String, _ place: String? = nil) -> Failure {
            Failure(
                .routerBadTrace, message, path: path, place: place,
                hint: "a trace that was changed proves nothing; write it again with `lorabank router trace`")
        }
        guard bytes.last == UInt8(ascii: "\n"), let text = String(validating: bytes, as: UTF8.self) else {
            throw bad("the file does not end with a whole line of text")
        }
        let all = text.split(separator: "\n", omittingEmptySubsequences: false).dropLast().map(String.init)
        guard all.count >= 2, let last = all.last else { throw bad("a trace has a header and a summary") }
        func parsed(_ line: String, _ place: String) throws -> JSONValue {
            do { return try StrictJSON.parse(line, .configuration, path: path) } catch {
                throw bad("the line is no JSON", place)
            }
        }
        header = try parsed(all[0], "line 1")
        guard header["type"]?.string == "header", header["schema"]?.string == TraceHeader.schema else {
            throw bad("the first line is no header of \(TraceHeader.schema)", "line 1")
        }
        summary = try parsed(last, "line \(all.count)")
        guard summary["type"]?.string == "summary", let digest = summary["digest"]?.string,
            let seal = summary["seal"]?.string, last.hasSuffix(",\"seal\":\"\(seal)\"}")
        else { throw bad("the last line is no sealed summary", "line \(all.count)") }
        let before = all.dropLast().map { $0 + "\n" }.joined()
        guard SHA256Digest.of(before).hex == digest else {
            throw bad("the lines are not those of the digest", "digest")
        }
        let open = String(last.dropLast(seal.count + #","seal":""}"#.count))
        guard SHA256Digest.of(before + open).hex == seal else {
            throw bad("the summary is not that of the seal", "seal")
        }
        self.digest = digest
        lines = Array(all.dropLast())
    }

    public var samples: [Int] { (header["samples"]?.array ?? []).compactMap(\.integer) }
    public var options: TraceOptions { TraceOptions(json: header["options"]) }
    public var router: String { header["router"]?.string ?? "" }
    public var mode: String { header["mode"]?.string ?? "" }
    public var k: Int { header["k"]?.integer ?? 0 }

    /// How a trace compares with one that was made again.
    public struct Replay: Sendable, Hashable {
        public var lines: Int
        /// Lines that are not the same text, though their numbers lie within 1e-4.
        public var rounded: Int
        /// Lines that differ by more, the first ones.
        public var different: [Int]

        public var reproduces: Bool { different.isEmpty }
        public var isExact: Bool { reproduces && rounded == 0 }
    }

    /// Compares record by record; the header's `tool` may differ.
    public func compared(with other: RoutingTrace) -> Replay {
        var replay = Replay(lines: lines.count + 1, rounded: 0, different: [])
        func judge(_ number: Int, _ a: JSONValue?, _ b: JSONValue?) {
            guard let a, let b, Self.agree(a, b) else { return replay.different.append(number) }
            replay.rounded += 1
        }
        if lines.count != other.lines.count { replay.different.append(min(lines.count, other.lines.count) + 1) }
        for (index, (own, found)) in zip(lines, other.lines).enumerated() where own != found {
            if index == 0, Self.comparable(header) == Self.comparable(other.header) { continue }
            judge(
                index + 1, try? StrictJSON.parse(own, .configuration), try? StrictJSON.parse(found, .configuration))
        }
        let (a, b) = (Self.comparable(summary), Self.comparable(other.summary))
        if a != b { judge(lines.count + 1, a, b) }
        return replay
    }

    /// What must be the same on every machine and version.
    private static func comparable(_ record: JSONValue) -> JSONValue {
        .object((record.members ?? []).filter { !["tool", "digest", "seal"].contains($0.key) })
    }

    /// The same structure and texts, numbers within 1e-4 and the rounding of both.
    private static func agree(_ a: JSONValue, _ b: JSONValue) -> Bool {
        switch (a, b) {
        case (.number, .number): abs((a.double ?? .nan) - (b.double ?? .nan)) <= 2.01e-4
        case (.array(let x), .array(let y)): x.count == y.count && zip(x, y).allSatisfy(agree)
        case (.object(let x), .object(let y)):
            x.count == y.count && zip(x, y).allSatisfy { $0.key == $1.key && agree($0.value, $1.value) }
        default: a == b
        }
    }
}
