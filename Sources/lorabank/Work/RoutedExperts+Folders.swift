import Adapters
import Foundation
import Routing

extension RoutedExperts {
    /// Writes each expert as a PEFT folder of its name, and makes the folders.
    ///
    /// - Returns: references to them, in the experts' order.
    @discardableResult
    func write(into folder: String) throws -> [String] {
        try experts.map { expert in
            let path = folder + "/" + expert.name
            try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
            try PEFTWriter.write(expert.adapter, into: path)
            return "path:" + path
        }
    }
}
