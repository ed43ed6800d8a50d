import CVector
import Diagnostics
import Foundation
import LinearAlgebra
import Reports
import WeightFiles

/// `doctor`: what the machine offers, and remarks about what is wrong with it.
struct MachineFacts {
    private var facts: [(name: String, value: JSONValue)]
    let remarks: [String]

    init(_ session: Session) {
        var remarks: [String] = []
        let environment = session.environment
        facts = [
            ("program", .string("lorabank \(LoRABank.version)")),
            ("processor_supports_avx2_fma", .bool(cvector_cpu_supports_v3())),
            ("processors", .integer(ProcessInfo.processInfo.activeProcessorCount)),
            ("threads", .integer(session.threads)),
            ("memory_bytes", .integer(Int(ProcessInfo.processInfo.physicalMemory))),
            ("blas_core", .string(BLASLibrary.coreName)),
        ]
        for name in ["OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"] {
            guard let value = environment[name], !value.isEmpty else { continue }
            facts.append((name.lowercased(), .string(value)))
            remarks.append("\(name)=\(value) pins the kernels of OpenBLAS, which may halve its speed: unset it")
        }
        do {
            let folder = try session.bankFolder()
            let system = FileSystem(of: folder)
            facts.append(("bank", .string(folder)))
            facts.append(("bank_file_system", .string(system.name)))
            if system.isNetwork {
                remarks.append("the bank lies on a network file system (\(system.name)), where SQLite's log is not safe: keep it on a local disk")
            }
        } catch {
            facts.append(("bank", .null))
        }
        self.remarks = remarks
    }

    var members: [JSONValue.Member] {
        facts.map { JSONValue.Member($0.name, $0.value) } + [.init("remarks", .texts(remarks))]
    }

    var table: TerminalTable {
        var table = TerminalTable([.text("FACT"), .text("VALUE")])
        for fact in facts { table.add([fact.name, fact.value.string ?? fact.value.text()]) }
        return table
    }
}

/// The kind of file system under a path.
struct FileSystem {
    let name: String
    let isNetwork: Bool

    init(of path: String) {
        var status = statfs()
        guard statfs(path, &status) == 0 else {
            (name, isNetwork) = ("unknown", false)
            return
        }
        let known: [Int: (String, Bool)] = [
            0xEF53: ("ext4", false), 0x0102_1994: ("tmpfs", false), 0x5846_5342: ("xfs", false),
            0x9123_683E: ("btrfs", false), 0x794C_7630: ("overlay", false), 0x2FC1_2FC1: ("zfs", false),
            0x6969: ("nfs", true), 0xFF53_4D42: ("cifs", true), 0xFE53_4D42: ("smb2", true), 0x0102_1997: ("9p", true),
            0x6573_5546: ("fuse", false),
        ]
        let kind = Int(status.f_type) & 0xFFFF_FFFF
        (name, isNetwork) = known[kind] ?? ("0x" + String(kind, radix: 16), false)
    }
}
