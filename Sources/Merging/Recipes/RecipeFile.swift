import Diagnostics
import Foundation
import Settings
import Tensors

/// Recipe files on disk.
enum RecipeFile {
    /// The text of a file.
    ///
    /// - Throws: `io.not_found`, `io.failed`, `path.special_file`; `recipe.syntax` for a file that is too large or not
    ///   UTF-8.
    static func text(at path: String, limit: Int) throws -> String {
        let file = try MappedFile(path: path)
        guard file.bytes.count <= limit else {
            throw Failure(
                .recipeSyntax, "the file has \(file.bytes.count) bytes, the limit is \(limit)", path: path,
                hint: "a recipe is a few kilobytes of YAML; is this a weight file?")
        }
        guard let text = String(validating: file.bytes, as: UTF8.self) else {
            throw Failure(.recipeSyntax, "the file is not UTF-8 text", path: path, hint: "is this a weight file?")
        }
        return text
    }
}
