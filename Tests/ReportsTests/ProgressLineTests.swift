import Synchronization
import Testing

@testable import Reports

/// A clock that stands still until it is moved, and the text written so far.
private final class Recorder: Sendable {
    let time = Mutex(0.0)
    let text = Mutex("")

    func line(_ style: ProgressLine.Style) -> ProgressLine {
        ProgressLine(style, now: { self.time.withLock { $0 } }, write: { new in self.text.withLock { $0 += new } })
    }

    func wait(_ seconds: Double) { time.withLock { $0 += seconds } }

    func taken() -> String {
        text.withLock { text in
            defer { text = "" }
            return text
        }
    }
}

@Suite struct ProgressLineTests {
    @Test func `a terminal shows nothing for half a second, then at most ten lines a second`() {
        let recorder = Recorder()
        let line = recorder.line(.terminal(width: 80))
        line.begin("merging", total: 100, unit: "modules")
        recorder.wait(0.4)
        line.advance(by: 10)
        #expect(recorder.taken().isEmpty)
        recorder.wait(0.6)
        line.advance(by: 10)
        #expect(recorder.taken() == "\rmerging · 20 % · 20 of 100 modules · 20.0 modules/s · 4.0 s left\u{1B}[K")
        recorder.wait(0.05)
        line.advance(by: 1)
        #expect(recorder.taken().isEmpty)
        line.end()
        #expect(recorder.taken() == "\r\u{1B}[K")
    }

    @Test func `a narrow terminal cuts the line instead of wrapping it`() {
        let recorder = Recorder()
        let line = recorder.line(.terminal(width: 20))
        line.begin("reading a very long name", total: nil, unit: "bytes")
        recorder.wait(1)
        line.advance(by: 4096)
        #expect(recorder.taken() == "\rreading a very lon…\u{1B}[K")
    }

    @Test func `without a terminal a line comes every ten seconds`() {
        let recorder = Recorder()
        let line = recorder.line(.lines)
        line.begin("checking", total: nil, unit: "bytes")
        recorder.wait(9)
        line.advance(by: 1024)
        #expect(recorder.taken().isEmpty)
        recorder.wait(1)
        line.advance(by: 1024)
        #expect(recorder.taken() == "checking · 2.0 KiB · 204 B/s\n")
        recorder.wait(9)
        line.advance(by: 1024)
        line.end()
        #expect(recorder.taken().isEmpty)
    }

    @Test func `programs get one JSON object per line and one at the end`() {
        let recorder = Recorder()
        let line = recorder.line(.json)
        line.begin("a \"b\"\n", total: 4, unit: "modules")
        recorder.wait(1)
        line.advance(by: 2)
        let first = recorder.taken()
        #expect(
            first.hasPrefix(
                "{\"schema\":\"lorabank.progress/1\",\"title\":\"a \\\"b\\\"\\\\u{A}\",\"done\":2,\"total\":4,"))
        #expect(first.hasSuffix("\"seconds\":1.000,\"rate\":2.000,\"left\":1.000,\"note\":\"\",\"finished\":false}\n"))
        line.end()
        #expect(recorder.taken().hasSuffix("\"finished\":true}\n"))
    }
}
