import Adapters
import Diagnostics

/// Looks at adapters of unknown origin: container, structure, values, statistics, outliers, text. Changes nothing and
/// executes nothing.
public enum Inspector {
    public struct Options: Sendable {
        /// Workers over modules; the report does not depend on it.
        public var threads = 2
        /// Frobenius norms of modules of other adapters (same base, same rank), by role (``ModuleRole``); used where
        /// there are at least 20.
        public var peerNorms: [String: [Double]] = [:]

        public init() {}
    }

    /// Values, statistics, outliers and text of an adapter that was read; its own findings come first.
    public static func inspect(_ adapter: Adapter, options: Options = Options()) -> InspectionReport {
        InspectionReport(findings: adapter.findings, modules: [], failure: nil)
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
            return (inspect(adapter, options: options), adapter)
        } catch {
            return (refusal(error, path: location.path), nil)
        }
    }

    static func refusal(_ error: any Error, path: String, findings: [Finding] = []) -> InspectionReport {
        let failure = (error as? Failure)?.at(path: path)
            ?? Failure(.internalDefect, "unexpected error: \(error)", path: path)
        let finding = Finding(
            code: failure.code.name, level: .error, place: failure.place ?? "", details: failure.message)
        return InspectionReport(findings: findings + [finding], modules: [], failure: failure)
    }
}
