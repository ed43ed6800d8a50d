// lorabank: the command line.
//
// `Launch` checks the processor, sees to it that OpenBLAS uses it, and hands over to `Program` (Shell/), which reads the
// arguments, runs one command and turns its result into text or JSON and an exit status. Each command is one file in
// `Commands/` that calls the library modules and holds no logic of its own; `Documents/` gives the JSON that programs may
// rely on. Begin at `Program`.
import ArgumentParser
import CVector
import LinearAlgebra
import Tensors

@main
enum Launch {
    /// This target is built for any x86-64, so that an old processor gets a message instead of an illegal instruction.
    static func main() {
        guard cvector_cpu_supports_v3() else {
            StandardStream.error.write(
                "error[io.failed]: this processor lacks AVX2 or FMA, which lorabank needs (any x86-64 made since about 2013 has them)\n"
            )
            Program.end(10)
        }
        BLASKernels.adoptBest()
        FreedMemory.keep()
        Program.run(Array(CommandLine.arguments.dropFirst()))
    }
}

/// The root of the command tree.
struct LoRABank: ParsableCommand, Documented {
    static let version = "0.1.0"

    static let configuration = CommandConfiguration(
        commandName: "lorabank",
        abstract: "Keep LoRA adapters in a bank, inspect them, and merge them by recipe.",
        discussion: """
            References: name, name@3, name:alias, id:<hex>, tag:key=value, path:<folder or file>.
            The bank: --bank DIR, else LORABANK_BANK, else the next folder bank/ going up.
            """,
        version: version,
        groupedSubcommands: [
            CommandGroup(name: "Bank", subcommands: [Init.self, Status.self, Check.self, Gc.self, Doctor.self]),
            CommandGroup(
                name: "Adapters",
                subcommands: [
                    Import.self, Export.self, List.self, Find.self, Show.self, TagCommand.self, Untag.self,
                    NoteCommand.self, Alias.self, Rm.self, Undo.self,
                ]),
            CommandGroup(
                name: "Trust",
                subcommands: [Inspect.self, Approve.self, Reject.self, Revoke.self, Audit.self]),
            CommandGroup(
                name: "Work",
                subcommands: [
                    Merge.self, Bake.self, Extract.self, RecipeCommand.self, Compare.self, Eval.self,
                    CilCommand.self, RouterCommand.self, BackboneCommand.self, DataCommand.self, ReportCommand.self,
                    Plot.self,
                ]),
            CommandGroup(name: "Help", subcommands: [Help.self, Errors.self, Completion.self, Version.self]),
        ])

    static let examples = [
        "lorabank init bank", "lorabank import downloads/ --tag set=digits",
        "lorabank merge --method tsv_m a b --to merged/",
    ]
}
