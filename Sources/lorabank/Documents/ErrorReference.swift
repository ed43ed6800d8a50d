import Diagnostics
import Reports
import WeightFiles

/// The error pages as text, JSON and Markdown.
enum ErrorReference {
    /// - Throws: `usage.bad_argument` with near codes.
    static func pages(matching code: String?) throws -> [ErrorPage] {
        guard let code else { return ErrorPage.all }
        let found = ErrorPage.all.filter { $0.code == code || $0.area == code }
        guard !found.isEmpty else {
            throw Failure(
                .usageBadArgument, "there is no code or area '\(code)'",
                hint: Spelling.hint(for: code, among: ErrorPage.all.map(\.code)) ?? "lorabank errors lists all")
        }
        return found
    }

    static func json(_ page: ErrorPage) -> JSONValue {
        .object([
            .init("code", .string(page.code)), .init("class", .string(className(page))),
            .init("exit", .optional(page.exitStatus.map(Int.init))), .init("cause", .string(page.cause)),
            .init("example", .string(page.example)), .init("remedy", .string(page.remedy)),
        ])
    }

    static func text(_ page: ErrorPage) -> String {
        let status = page.exitStatus.map { ", exit \($0)" } ?? ""
        return """
            \(page.code) (\(className(page))\(status))
              cause    \(page.cause)
              example  \(page.example)
              remedy   \(page.remedy)

            """
    }

    static var table: TerminalTable {
        var table = TerminalTable([.text("CODE"), .text("CLASS"), .number("EXIT"), .text("CAUSE", shrinks: true)])
        for page in ErrorPage.all {
            table.add([page.code, className(page), page.exitStatus.map { "\($0)" } ?? "", page.cause])
        }
        return table
    }

    /// `docs/errors.md`.
    static var markdown: String {
        var text = """
            # Errors and findings

            Every message names a code. This page is what `lorabank errors CODE` shows; it is generated with
            `lorabank errors --markdown`. An error ends a command with the exit status of its class; a finding is a remark of an
            inspection. The statuses:

            | exit | class | meaning |
            | --- | --- | --- |
            | 0 | | success |
            | 1 | internal | a defect of the program |
            | 2 | usage | wrong command line, recipe or setting |
            | 3 | malformed | input is damaged or contradicts itself |
            | 4 | unsafe | input tries something dangerous |
            | 5 | incompatible | valid, but not supported or not combinable |
            | 6 | not_found | no such adapter or file, or an ambiguous name |
            | 7 | conflict | exists already with other content |
            | 8 | denied | the policy forbids it |
            | 9 | integrity | the bank's own data is damaged |
            | 10 | resource | disk, memory, limits, input and output |
            | 11 | network | a remote cannot be used |
            | 12 | busy | another process holds the lock |
            | 130, 143, 141 | | interrupted, terminated, reader gone |


            """
        var area = ""
        for page in ErrorPage.all {
            let heading = page.exitStatus == nil ? "findings" : page.area
            if heading != area {
                text += "## \(heading)\n\n"
                area = heading
            }
            let status = page.exitStatus.map { " (exit \($0))" } ?? ""
            text +=
                "### `\(page.code)`\(status)\n\n\(page.cause)\n\n- Example: \(page.example)\n- Remedy: \(page.remedy)\n\n"
        }
        return String(text.dropLast())
    }

    private static func className(_ page: ErrorPage) -> String {
        if case .error(let errorClass) = page.kind { errorClass.name } else { "finding" }
    }
}
