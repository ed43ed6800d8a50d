/// Terminal colours. They repeat what the words say and never carry a meaning of their own.
struct Colours: Sendable {
    let isOn: Bool

    static let none = Colours(isOn: false)

    /// Rule C4: `--color`, then CLICOLOR_FORCE and NO_COLOR, then whether the stream is a terminal that can do it.
    init(_ choice: GlobalOptions.Colour, stream: StandardStream, environment: [String: String]) {
        switch choice {
        case .always: isOn = true
        case .never: isOn = false
        case .auto:
            if let force = environment["CLICOLOR_FORCE"], !force.isEmpty, force != "0" {
                isOn = true
            } else {
                isOn =
                    environment["NO_COLOR", default: ""].isEmpty && environment["TERM"] != "dumb" && stream.isTerminal
            }
        }
    }

    private init(isOn: Bool) { self.isOn = isOn }

    func bold(_ text: String) -> String { wrapped(text, "1") }
    func red(_ text: String) -> String { wrapped(text, "1;31") }
    func yellow(_ text: String) -> String { wrapped(text, "33") }
    func green(_ text: String) -> String { wrapped(text, "32") }

    private func wrapped(_ text: String, _ code: String) -> String { isOn ? "\u{1B}[\(code)m\(text)\u{1B}[0m" : text }
}
