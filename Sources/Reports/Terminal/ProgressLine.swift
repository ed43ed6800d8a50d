import Diagnostics
import Synchronization

/// Shows how far long work is: one redrawn line on a terminal, otherwise now and then a line, or JSON for programs.
///
/// Nothing appears in the first 0.5 s. A terminal line is redrawn at most 10 times a second, other output comes at most
/// every 10 s (JSON: every 0.5 s, and at the end of each piece of work).
public final class ProgressLine: ProgressReporting {
    public enum Style: Sendable {
        /// One line that is redrawn; the width is in columns.
        case terminal(width: Int)
        case lines
        case json
    }

    private struct State {
        var title = ""
        var unit = ""
        var total: Int64?
        var done: Int64 = 0
        var note = ""
        var began = 0.0
        var lastShown = -Double.infinity
        var isActive = false
        var isDrawn = false
    }

    private let style: Style
    private let now: @Sendable () -> Double
    private let write: @Sendable (String) -> Void
    private let state = Mutex(State())

    /// - Parameters:
    ///   - now: seconds of a clock that never goes back.
    ///   - write: receives text for the error stream.
    public init(
        _ style: Style, now: @escaping @Sendable () -> Double, write: @escaping @Sendable (String) -> Void
    ) {
        self.style = style
        self.now = now
        self.write = write
    }

    public func begin(_ title: String, total: Int64?, unit: String) {
        let time = now()
        state.withLock { state in
            clear(&state)
            state = State(title: title, unit: unit, total: total, began: time, isActive: true)
        }
    }

    public func advance(by amount: Int64) {
        let time = now()
        state.withLock { state in
            state.done += amount
            show(&state, at: time)
        }
    }

    public func note(_ text: String) {
        let time = now()
        state.withLock { state in
            state.note = text
            show(&state, at: time)
        }
    }

    public func end() {
        let time = now()
        state.withLock { state in
            if case .json = style, state.isActive { write(jsonLine(state, at: time, finished: true)) }
            clear(&state)
            state.isActive = false
        }
    }

    /// Takes the line off the terminal, so that something else can be printed; the next report draws it again.
    public func hide() { state.withLock { clear(&$0) } }

    private func clear(_ state: inout State) {
        guard state.isDrawn else { return }
        write("\r\u{1B}[K")
        state.isDrawn = false
    }

    private func show(_ state: inout State, at time: Double) {
        guard state.isActive, time - state.began >= 0.5 else { return }
        switch style {
        case .terminal(let width):
            guard time - state.lastShown >= 0.1 else { return }
            write("\r" + TextWidth.truncated(description(of: state, at: time), to: max(10, width - 1)) + "\u{1B}[K")
            state.isDrawn = true
        case .lines:
            guard time - max(state.lastShown, state.began) >= 10 else { return }
            write(description(of: state, at: time) + "\n")
        case .json:
            guard time - state.lastShown >= 0.5 else { return }
            write(jsonLine(state, at: time, finished: false))
        }
        state.lastShown = time
    }

    private func description(of state: State, at time: Double) -> String {
        let seconds = time - state.began
        let rate = Double(state.done) / seconds
        var parts = [ForeignText.escaped(state.title)]
        if let total = state.total, total > 0 {
            let share = min(1, Double(state.done) / Double(total))
            parts.append("\(Quantities.fixed(share * 100, 0)) %")
            parts.append("\(amount(state.done, state.unit, named: false)) of \(amount(total, state.unit))")
        } else {
            parts.append(amount(state.done, state.unit))
        }
        if state.done > 0 {
            parts.append(
                state.unit == "bytes"
                    ? "\(Quantities.bytes(Int(rate)))/s" : "\(Quantities.significant(rate)) \(state.unit)/s")
        }
        if let total = state.total, state.done > 0, total > state.done {
            parts.append("\(Quantities.duration(seconds: Double(total - state.done) / rate)) left")
        }
        if !state.note.isEmpty { parts.append(ForeignText.escaped(state.note)) }
        return parts.joined(separator: " · ")
    }

    private func amount(_ value: Int64, _ unit: String, named: Bool = true) -> String {
        unit == "bytes" ? Quantities.bytes(Int(value)) : named ? "\(value) \(unit)" : "\(value)"
    }

    private func jsonLine(_ state: State, at time: Double, finished: Bool) -> String {
        let seconds = max(0, time - state.began)
        let rate = seconds > 0 ? Double(state.done) / seconds : 0
        let left = state.total.flatMap { rate > 0 ? Double($0 - state.done) / rate : nil }
        return "{\"schema\":\"lorabank.progress/1\",\"title\":\(quoted(state.title)),\"done\":\(state.done),"
            + "\"total\":\(state.total.map(String.init) ?? "null"),\"unit\":\(quoted(state.unit)),"
            + "\"seconds\":\(Quantities.fixed(seconds, 3)),\"rate\":\(Quantities.fixed(rate, 3)),"
            + "\"left\":\(left.map { Quantities.fixed($0, 3) } ?? "null"),\"note\":\(quoted(state.note)),"
            + "\"finished\":\(finished)}\n"
    }

    private func quoted(_ text: String) -> String {
        var result = "\""
        for scalar in ForeignText.escaped(text).unicodeScalars {
            if scalar == "\"" || scalar == "\\" { result += "\\" }
            result.unicodeScalars.append(scalar)
        }
        return result + "\""
    }
}
