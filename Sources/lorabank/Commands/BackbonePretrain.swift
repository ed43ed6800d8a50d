import ArgumentParser
import Settings

struct BackbonePretrain: BankCommand {
    static let configuration = CommandConfiguration(
        commandName: "pretrain", abstract: "Train a small vision backbone on procedural stroke glyphs.",
        discussion: """
            The glyphs are random strokes, so that no class of real data is seen. The result is a folder that suites \
            and runs can name. An interrupted run goes on when it is started again with the same configuration, and \
            ends with the same bytes.
            """)
    static let examples = [
        "lorabank backbone pretrain recipes/backbone/starter.yaml --to models/starter",
        "lorabank backbone pretrain recipes/backbone/glyphs28.yaml --to models/glyphs28 --set train.steps=500",
    ]

    @Argument(help: ArgumentHelp("The configuration.", valueName: "config"), completion: .file())
    var config: String
    @Option(help: ArgumentHelp("Write the backbone's folder here.", valueName: "dir"), completion: .directory)
    var to: String
    @Option(
        name: .customLong("set"), parsing: .unconditionalSingleValue,
        help: ArgumentHelp("Override a key of the configuration. Repeatable.", valueName: "key=value"))
    var settings: [String] = []
    @Flag(help: "Replace what stands at --to.")
    var force = false
    @OptionGroup(title: "Global options") var global: GlobalOptions

    func run(in session: Session) throws {
        let result = try PretrainWork(session: session).pretrain(
            config, overrides: settings.map { try SettingOverride($0) }, to: to, replacing: force)
        session.result(result.document) { result.text(session) }
    }
}
