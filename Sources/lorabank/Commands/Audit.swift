import ArgumentParser
import Bank
import Governance
import Reports
import WeightFiles

struct Audit: ParsableCommand, Documented {
    static let configuration = CommandConfiguration(
        abstract: "Read and verify the log of every change.",
        subcommands: [AuditLog.self, AuditVerify.self, AuditHeadCommand.self], defaultSubcommand: AuditLog.self)
    static let examples = ["lorabank audit verify", "lorabank audit log --last 20", "lorabank audit head"]
}

struct AuditLog: BankCommand {
    static let configuration = CommandConfiguration(commandName: "log", abstract: "Show the log.")
    static let examples = ["lorabank audit log --last 20"]

    @Option(help: ArgumentHelp("Only the newest rows.", valueName: "n"))
    var last: Int?
    @OptionGroup(title: "Global options") var global: GlobalOptions

    func run(in session: Session) throws {
        let entries = try session.bank().auditLog(last: last)
        session.result(.document("audit", [.init("entries", .array(entries.map(AuditDocument.entry)))])) {
            session.rendered(AuditDocument.table(entries))
        }
    }
}

struct AuditVerify: BankCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify", abstract: "Recompute the chain of the log; status 9 when it is broken.",
        discussion: "With --expect it also finds rows that were cut off at the end.")
    static let examples = ["lorabank audit verify", "lorabank audit verify --expect 17:3fa0…"]

    @Option(help: ArgumentHelp("A head noted earlier.", valueName: "seq:hash"))
    var expect: String?
    @OptionGroup(title: "Global options") var global: GlobalOptions

    func run(in session: Session) throws {
        let head = try session.bank().verifyAudit(expecting: expect.map(AuditHead.init(parsing:)))
        session.result(
            .document("audit_verify", [.init("sound", .bool(true)), .init("head", .string(head.description))])
        ) { "the audit log is sound: \(head.sequence) rows, head \(head)\n" }
    }
}

struct AuditHeadCommand: BankCommand {
    static let configuration = CommandConfiguration(
        commandName: "head", abstract: "Print SEQ:HASH of the newest row, to note it outside the bank.")
    static let examples = ["lorabank audit head >> heads.txt"]

    @OptionGroup(title: "Global options") var global: GlobalOptions

    func run(in session: Session) throws {
        let head = try session.bank().auditHead()
        session.result(
            .document(
                "audit_head",
                [
                    .init("head", .string(head.description)), .init("sequence", .integer(head.sequence)),
                    .init("hash", .string(head.hash)),
                ])
        ) { "\(head)\n" }
    }
}
