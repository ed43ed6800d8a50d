import ArgumentParser
import WeightFiles

struct Help: BankCommand {
    static let configuration = CommandConfiguration(abstract: "Explain a command or a topic.")
    static let examples = ["lorabank help merge", "lorabank help references", "lorabank help find"]

    @Argument(help: "A command (merge, audit verify) or a topic: \(HelpTopic.names).")
    var topic: [String] = []
    @Flag(help: ArgumentHelp("Write the reference of all commands as Markdown.", visibility: .hidden))
    var markdown = false
    @Flag(help: ArgumentHelp("Write the manual page.", visibility: .hidden))
    var man = false
    @OptionGroup(title: "Global options") var global: GlobalOptions

    func run(in session: Session) throws {
        if markdown { return StandardStream.output.write(CommandReference.markdown) }
        if man { return StandardStream.output.write(ManualPage.text) }
        let text = try HelpTopic.text(for: topic)
        session.result(.document("help", [.init("topic", .texts(topic)), .init("text", .string(text))])) { text }
    }
}
