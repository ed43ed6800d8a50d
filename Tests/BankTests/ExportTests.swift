import Adapters
import Diagnostics
import Foundation
import Testing

@testable import Bank

@Suite struct ExportTests {
    @Test func `what came in goes out with the same bytes`() throws {
        let folder = try TemporaryFolder()
        let bank = try folder.newBank()
        let source = SampleAdapter(extraFiles: ["README.md": "# T", "メモ.txt": "あ"])
        _ = try bank.importAdapter(source.write(to: folder.file("src")))
        let export = try BankExport(bank, bank.row(for: "src"))
        try export.write(to: folder.file("out"), overwrite: false)
        let names = try FileManager.default.contentsOfDirectory(atPath: folder.file("src")).sorted()
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.file("out")).sorted() == names)
        for name in names {
            let before = try Data(contentsOf: URL(fileURLWithPath: folder.file("src/" + name)))
            #expect(try Data(contentsOf: URL(fileURLWithPath: folder.file("out/" + name))) == before)
            #expect(export.files.first { $0.name == name }?.size == before.count)
        }
        #expect(export.files.allSatisfy { $0.isOriginal })
        #expect(code { try export.write(to: folder.file("out"), overwrite: false) } == .outputExists)
        try export.write(to: folder.file("out"), overwrite: true)
    }

    @Test func `facts given at import stand in the exported configuration`() throws {
        let folder = try TemporaryFolder()
        let bank = try folder.newBank()
        try SampleAdapter().writeWeights(to: folder.file("bare.safetensors"))
        var options = ImportOptions()
        options.alpha = 3
        options.base = "tiny/base"
        let outcome = try bank.importAdapter(
            AdapterLocation.only(at: folder.file("bare.safetensors")), options: options)
        let export = try BankExport(bank, outcome.row)
        try export.write(to: folder.file("out"), overwrite: false)
        #expect(export.files.map(\.name) == ["adapter_config.json", "adapter_model.safetensors"])
        for file in export.files {
            let size = try FileManager.default.attributesOfItem(atPath: folder.file("out/" + file.name))[.size] as? Int
            #expect(size == file.size && !file.isOriginal)
        }
        let adapter = try AdapterReader.read(path: folder.file("out"))
        #expect(adapter.base.name == "tiny/base")
        #expect(adapter.deltaID().hex == outcome.deltaID)
    }

    @Test func `unapproved adapters leave a strict bank only on request, which is recorded`() throws {
        let folder = try TemporaryFolder()
        let bank = try folder.newBank(policy: .strict)
        let row = try bank.importSample("a", in: folder).row
        #expect(code { _ = try BankExport(bank, row) } == .policyNotApproved)
        _ = try BankExport(bank, row, allowUnapproved: true)
        let entry = try #require(try bank.auditLog(last: 1).first)
        #expect(entry.action == "use_unapproved" && entry.subject == "a@1")
        #expect(entry.details.contains("export"))
    }
}
