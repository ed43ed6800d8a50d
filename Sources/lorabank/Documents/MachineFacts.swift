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
            ("blas_core", .string(BLASThreads.coreName)),
            ("blas_core_chosen_by", .string(MachineFacts.chooser(environment))),
        ]
        let features = BLASKernels.processorFeatures()
        if let better = BLASKernels.remedy(core: BLASThreads.coreName, features: features) {
            remarks.append(
                "OpenBLAS runs its kernels for \(BLASThreads.coreName), which use neither AVX2 nor AVX-512: "
                    + "OPENBLAS_CORETYPE=\(better) fits this processor and is several times faster")
        }
        for name in ["OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"] {
            guard let value = environment[name], !value.isEmpty, !BLASKernels.wereAdopted else { continue }
            facts.append((name.lowercased(), .string(value)))
            remarks.append("\(name)=\(value) pins the kernels of OpenBLAS, which may halve its speed: unset it")
        }
        do {
            let folder = try session.bankFolder()
            let system = FileSystem(of: folder)
            facts.append(("bank", .string(folder)))
            facts.append(("bank_file_system", .string(system.name)))
            if system.isNetwork {
                remarks.append(
                    "the bank lies on a network file system (\(system.name)), where SQLite's log is not safe: keep it on a local disk"
                )
            }
        } catch {
            facts.append(("bank", .null))
        }
        self.remarks = remarks
    }

    /// Whose choice OpenBLAS's kernels are: `environment`, `lorabank` where OpenBLAS did not know the processor, `openblas`.
    private static func chooser(_ environment: [String: String]) -> String {
        if let pinned = environment[BLASKernels.variable], !pinned.isEmpty, !BLASKernels.wereAdopted {
            return "environment"
        }
        return BLASKernels.wereAdopted ? "lorabank" : "openblas"
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

/// The kind of file system under a path, from the system's list of mounts.
struct FileSystem {
    let name: String

    var isNetwork: Bool { ["nfs", "nfs4", "cifs", "smb3", "9p", "afs", "ceph", "fuse.sshfs"].contains(name) }

    init(of path: String) {
        let target = URL(filePath: path).resolvingSymlinksInPath().path
        var best = (mount: "", kind: "unknown")
        let mounts = (try? String(contentsOfFile: "/proc/self/mounts", encoding: .utf8)) ?? ""
        for line in mounts.split(separator: "\n") {
            let fields = line.split(separator: " ")
            guard fields.count >= 3 else { continue }
            let mount = String(fields[1])
            let holds = mount == "/" || target == mount || target.hasPrefix(mount + "/")
            if holds, mount.count >= best.mount.count { best = (mount, String(fields[2])) }
        }
        name = best.kind
    }
}
