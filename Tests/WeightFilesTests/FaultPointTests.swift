import Diagnostics
import Foundation
import Tensors
import Testing

@testable import WeightFiles

#if DEBUG
    /// What remains when the disk fills up or the process dies in the middle of an output.
    @Suite struct FaultPointTests {
        private static func writeAdapter(to path: String) throws {
            let layout = try SafetensorsLayout(
                [.init("a", .u8, [3000]), .init("b", .f32, [10])], metadata: ["format": "pt"])
            let writer = try SafetensorsWriter(path: path, layout: layout)
            for entry in layout.entries {
                try [UInt8](repeating: 1, count: entry.range.count).withUnsafeBytes {
                    try writer.write($0, toTensor: entry.name)
                }
            }
            try writer.commit()
        }

        private static func writeFolder(to path: String) throws {
            let folder = try AtomicFolder(path: path)
            try AtomicFile.write([1, 2, 3], to: folder.file("adapter_config.json"))
            try writeAdapter(to: folder.file("adapter_model.safetensors"))
            try folder.commit()
        }

        @Test func `content reaches the disk before its name, and the name before success`() throws {
            let scratch = try Scratch()
            let plan = FaultPlan()
            try FaultPoint.$localPlan.withValue(plan) { try AtomicFile.write([1], to: scratch("x")) }
            #expect(plan.trace == ["open", "fallocate", "pwrite", "fsync", "rename", "fsync"])
        }

        @Test func `whichever write fails, nothing is visible and nothing remains`() throws {
            let scratch = try Scratch()
            for n in 1...100 {
                let plan = FaultPlan(failWriteAt: n)
                let result = code {
                    try FaultPoint.$localPlan.withValue(plan) { try FaultPointTests.writeFolder(to: scratch("out")) }
                }
                if plan.writes < n {
                    #expect(result == nil)
                    #expect(n > 5)
                    #expect(try SafetensorsFile(path: scratch("out/adapter_model.safetensors")).tensors.count == 2)
                    return
                }
                #expect(result == "io.no_space")
                #expect(scratch.names.isEmpty)
            }
            Issue.record("the writes never end")
        }

        @Test func `a failing write of an archive's member is an error`() throws {
            let scratch = try Scratch()
            let tar = try scratch.write(TarBytes.archive([.init("a", [1, 2])]), as: "x.tar")
            let result = code {
                try FaultPoint.$localPlan.withValue(FaultPlan(failWriteAt: 1)) {
                    _ = try ArchiveReader(path: tar).unpack(into: scratch.path) { _, _ in "member" }
                }
            }
            #expect(result == "io.no_space")
        }

        /// The points are the process's own, so each crash needs a process.
        @Test func `killed at any point, the target is absent or complete`() async throws {
            let scratch = try Scratch()
            let target = scratch("out")
            setenv("LORABANK_TEST_TARGET", target, 1)
            defer { unsetenv("LORABANK_TEST_TARGET") }
            await #expect(processExitsWith: .signal(SIGKILL)) { try FaultPointTests.crash(at: 1) }
            await #expect(processExitsWith: .signal(SIGKILL)) { try FaultPointTests.crash(at: 7) }
            #expect(!FileManager.default.fileExists(atPath: target))
            // The point after the last rename: the name is there, and so is everything behind it.
            let plan = FaultPlan()
            try FaultPoint.$localPlan.withValue(plan) { try FaultPointTests.writeFolder(to: scratch("count")) }
            #expect(plan.trace.suffix(3) == ["fsync", "rename", "fsync"])
            #expect(plan.trace.count == 20)
            await #expect(processExitsWith: .signal(SIGKILL)) { try FaultPointTests.crash(at: 18) }
            #expect(!FileManager.default.fileExists(atPath: target))
            await #expect(processExitsWith: .signal(SIGKILL)) { try FaultPointTests.crash(at: 19) }
            #expect(try SafetensorsFile(path: target + "/adapter_model.safetensors").tensors.count == 2)
        }

        private static func crash(at point: Int) throws {
            setenv("LORABANK_CRASH_AT", "\(point)", 1)
            let target = ProcessInfo.processInfo.environment["LORABANK_TEST_TARGET"] ?? ""
            try writeFolder(to: target)
        }
    }
#endif
