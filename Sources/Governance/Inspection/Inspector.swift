import Adapters
import Diagnostics
import Dispatch
import Synchronization
import Tensors

/// Looks at adapters of unknown origin: container, structure, values, statistics, outliers, text. Changes nothing and
/// executes nothing.
///
/// ```swift
/// let (report, adapter) = Inspector.inspect(try AdapterLocation.only(at: "downloads/vit-cifar"))
/// print(report.verdict, report.findings)
/// ```
public enum Inspector {
    public struct Options: Sendable {
        /// Workers over modules; the report does not depend on it.
        public var threads = 2
        /// Frobenius norms of the modules of other adapters with the same base and rank, by module name; used where
        /// there are at least 20.
        public var peerNorms: [String: [Double]] = [:]

        public init() {}
    }

    /// Values, statistics, outliers and text of an adapter that was read; its own findings come first.
    ///
    /// - Complexity: one pass over all values, and O((dOut + dIn) · r²) per module. Memory: twice the largest module in
    ///   double precision per worker.
    public static func inspect(_ adapter: Adapter, options: Options = Options()) -> InspectionReport {
        let findings = adapter.findings + TextCheck(adapter: adapter).findings()
        do {
            let inspections = try inspectModules(adapter.modules, threads: options.threads)
            var failures = inspections.compactMap(\.failure)
            let head = [adapter.head?.weight, adapter.head?.bias].compactMap { $0 }
            for tensor in adapter.saved.map(\.tensor) + adapter.unclaimed + head {
                if let failure = try ValueCheck.failure(in: tensor) { failures.append(failure) }
            }
            if let failure = failures.min(by: { ValueCheck.order($0) < ValueCheck.order($1) }) { throw failure }
            let modules = inspections.compactMap(\.statistics)
            let outliers = OutlierCheck(modules: modules, peerNorms: options.peerNorms).findings()
            return InspectionReport(
                findings: findings + zeroFindings(modules) + outliers, modules: modules, failure: nil)
        } catch {
            return refusal(error, path: nil, findings: findings)
        }
    }

    /// Reads and inspects what stands at a location. A refusal by the reader is part of the report.
    ///
    /// - Returns: the report and, when the structure could be read, the adapter.
    public static func inspect(
        _ location: AdapterLocation, reading: AdapterReader.Options = AdapterReader.Options(),
        options: Options = Options()
    ) -> (report: InspectionReport, adapter: Adapter?) {
        do {
            let adapter = try AdapterReader.read(location, options: reading)
            var report = inspect(adapter, options: options)
            report.failure = report.failure?.at(path: location.path)
            return (report, adapter)
        } catch {
            return (refusal(error, path: location.path), nil)
        }
    }

    private static func refusal(_ error: any Error, path: String?, findings: [Finding] = []) -> InspectionReport {
        var failure = error as? Failure ?? Failure(.internalDefect, "unexpected error: \(error)")
        if let path { failure = failure.at(path: path) }
        let finding = Finding(
            code: failure.code.name, level: .error, place: failure.place ?? "", details: failure.message)
        return InspectionReport(findings: findings + [finding], modules: [], failure: failure)
    }

    /// Worker k takes modules k, k + n, k + 2n, …; each module is computed by itself.
    private static func inspectModules(_ modules: [LoRAModule], threads: Int) throws -> [ModuleInspection] {
        let workers = max(1, min(threads, modules.count))
        let results = Mutex([Result<ModuleInspection, any Error>?](repeating: nil, count: modules.count))
        DispatchQueue.concurrentPerform(iterations: workers) { worker in
            for index in stride(from: worker, to: modules.count, by: workers) {
                let result = Result { try ModuleInspection(modules[index]) }
                results.withLock { $0[index] = result }
            }
        }
        return try results.withLock { try $0.compactMap { try $0?.get() } }
    }

    private static func zeroFindings(_ modules: [ModuleStatistics]) -> [Finding] {
        let zeros = modules.filter(\.isZero)
        if !modules.isEmpty, zeros.count == modules.count {
            return [Finding(.weightsZeroDelta, .warning, details: "every update is zero: the adapter does nothing")]
        }
        return zeros.map { Finding(.weightsZeroModule, .warning, place: $0.name, details: "the update is zero") }
    }
}
