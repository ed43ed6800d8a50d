import Foundation

/// Wall time, CPU time and peak memory of a piece of work in this process.
struct ProcessMeter {
    struct Reading {
        var seconds: Double
        var cpuSeconds: Double
        /// Peak resident memory, mapped files included.
        var peakBytes: Int
    }

    static func measure(_ body: () throws -> Void) rethrows -> Reading {
        resetPeak()
        let before = (now(), cpu())
        try body()
        return Reading(seconds: now() - before.0, cpuSeconds: cpu() - before.1, peakBytes: peak())
    }

    private static func now() -> Double {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
    }

    private static func cpu() -> Double {
        var time = timespec()
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
    }

    /// Linux forgets the peak so far when 5 is written here.
    private static func resetPeak() {
        guard let file = FileHandle(forWritingAtPath: "/proc/self/clear_refs") else { return }
        file.write(Data("5".utf8))
        try? file.close()
    }

    private static func peak() -> Int {
        let status = (try? String(contentsOfFile: "/proc/self/status", encoding: .utf8)) ?? ""
        let line = status.split(separator: "\n").first { $0.hasPrefix("VmHWM:") }
        let kibibytes = line?.split(whereSeparator: { $0 == " " || $0 == "\t" }).dropFirst().first.flatMap { Int($0) }
        return (kibibytes ?? 0) << 10
    }
}
