import Diagnostics

/// `help TOPIC`: pages that belong to no single command.
enum HelpTopic {
    static let names = pages.map(\.name).joined(separator: ", ")

    /// The text of a topic.
    static func page(_ name: String) -> String? { pages.first { $0.name == name }?.text }

    /// The text of a topic, or the help of a command.
    ///
    /// - Throws: `usage.bad_argument` with near names.
    static func text(for words: [String]) throws -> String {
        if words.count == 1, let page = pages.first(where: { $0.name == words[0] }) { return page.text }
        let path = CommandPath(words)
        guard path.rest.isEmpty else {
            let known = LoRABank.configuration.subcommands.map(CommandPath.name) + pages.map(\.name)
            let word = words.joined(separator: " ")
            throw Failure(
                .usageBadArgument, "there is no command or topic '\(word)'",
                hint: Spelling.hint(for: word, among: known) ?? "topics: \(names)")
        }
        return HelpText(path.commands).rendered()
    }

    private static let pages: [(name: String, text: String)] = [
        (
            "references",
            """
            EXAMPLE:
              lorabank show vit-cifar@3

            How adapters are named wherever a command or a recipe takes REF:

              name            the newest version
              name@3          version 3
              name:alias      the version that an alias names (lorabank alias)
              id:1f3c9a0b     the object whose SHA-256 begins so (8 digits or more)
              tag:key=value   every adapter with this tag, sorted by name and version
              tag:key         every adapter with any value of the key
              path:FOLDER     a folder or file outside the bank; ./x and /x are paths, too

            Names outside the namespace 'local' are written namespace/name.

            """
        ),
        (
            "find",
            """
            EXAMPLE:
              lorabank find 'task:cifar state:approved rank<=8 acc>0.7 "class incremental"'

            A query is a list of conditions; all must hold.

              word            in the name, title, description, tags, notes or module names
              "a phrase"      these words side by side
              key:value       a tag, or a field: name, state, base, dtype, format, source, kind
              rank<=8         a number: rank, modules, parameters, bytes, version; < <= = >= >
              acc>0.7         a measured value, by the name of its metric
              -word, -key:v   must not hold

            An unknown field is an error with a suggestion.

            """
        ),
        (
            "status",
            """
            EXAMPLE:
              lorabank check; echo $?

            Exit statuses:

              0 success            5 incompatible     10 disk, memory, input and output
              1 defect             6 not found        11 network
              2 usage              7 exists already   12 busy
              3 malformed input    8 policy forbids   130 interrupted, 143 terminated
              4 unsafe input       9 bank damaged     141 reader of the output is gone

            A command over several items goes on after a failure and ends with the status of the worst one.
            `lorabank errors` lists all codes.

            """
        ),
        (
            "settings",
            """
            EXAMPLE:
              LORABANK_BANK=/data/bank lorabank status --settings

            Options win over LORABANK_* variables, these over the user's file, that over defaults.

              LORABANK_BANK       the bank (--bank)
              LORABANK_THREADS    worker threads (--threads)
              NO_COLOR            set: no colour; CLICOLOR_FORCE=1: always colour

              ~/.config/lorabank/config.toml   bank, threads, color, progress, lock_timeout
              BANK/lorabank.toml               policy, approval and limits of the bank

            """
        ),
    ]
}
