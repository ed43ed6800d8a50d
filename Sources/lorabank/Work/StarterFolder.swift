import Bank
import Foundation

/// What ships with the program: a backbone, data and adapters in a folder `bank/starter`.
struct StarterFolder {
    let path: String

    /// The first that exists of: the open bank's own `starter`; `bank/starter` in the working folder or above it; the
    /// same above the program's file, so that it is found whatever the working folder; `share/lorabank/starter`
    /// beside the program's folder.
    init?(bank: String?) {
        let places =
            [bank.map { $0 + "/starter" }].compactMap { $0 }
            + Self.above(FileManager.default.currentDirectoryPath).map { $0 + "/bank/starter" }
            + Self.program.map { program in
                Self.above(program).map { $0 + "/bank/starter" } + [program + "/../share/lorabank/starter"]
            }.joined()
        guard let found = places.first(where: { FileManager.default.fileExists(atPath: $0 + "/backbone/config.json") })
        else { return nil }
        path = URL(fileURLWithPath: found).standardizedFileURL.path
    }

    /// Names under which its parts go, for each kind.
    static func names(_ kind: BankResource.Kind) -> [String] {
        kind == .backbone ? ["starter"] : ["optdigits", "starter", "starter-digits"]
    }

    func folder(_ kind: BankResource.Kind, _ name: String) -> String? {
        guard Self.names(kind).contains(name) else { return nil }
        let folder = "\(path)/\(kind.rawValue)"
        return FileManager.default.fileExists(atPath: folder) ? folder : nil
    }

    /// The folder of the running program's file.
    private static var program: [String] {
        guard let file = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe") else { return [] }
        return [URL(fileURLWithPath: file).deletingLastPathComponent().path]
    }

    /// A folder and all above it.
    private static func above(_ folder: String) -> [String] {
        var result: [String] = []
        var url = URL(fileURLWithPath: folder).standardizedFileURL
        while result.count < 64 {
            result.append(url.path == "/" ? "" : url.path)
            if url.path == "/" { break }
            url.deleteLastPathComponent()
        }
        return result
    }
}
