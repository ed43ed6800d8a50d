import ArgumentParser
import Reports
import WeightFiles

struct Inspect: BankCommand {
    static let configuration = CommandConfiguration(
        abstract: "Look an adapter over before using it: container, structure, values, outliers.",
        discussion: """
            Takes files, folders, archives (no bank needed) and names of the bank. Changes nothing and runs nothing. \
            Verdict: clean, warnings, or refused.
            """)
    static let examples = ["lorabank inspect downloads/suspicious.tar.gz", "lorabank inspect vit-cifar --modules"]

    @Argument(help: ArgumentHelp("Paths or adapters of the bank.", valueName: "ref-or-path"), completion: .file())
    var subjects: [String]
    @Flag(help: "Show the statistics of every module.")
    var modules = false
    @Flag(help: "Findings of level warning end with status 3.")
    var strict = false
    @Option(help: "alpha of weights without a configuration.")
    var alpha: Double?
    @Option(help: "Name of the base model.")
    var base: String?
    @Flag(name: .customLong("trust-tensors"), help: "Take ranks from the tensors where the configuration differs.")
    var trustTensors = false
    @Option(help: ArgumentHelp("Which folder of an archive that holds several adapters.", valueName: "folder"))
    var select: String?
    @OptionGroup(title: "Global options") var global: GlobalOptions

    func run(in session: Session) throws {
        let work = InspectionWork(session: session)
        work.reading.alpha = alpha
        work.reading.base = base
        work.reading.trustTensors = trustTensors
        work.reading.select = select
        for subject in subjects { work.inspect(subject) }
        session.result(work.document) { work.text(modules: modules) }
        work.reportRefusals()
        if strict, work.hasWarnings { session.endWith(3) }
    }
}
