import Diagnostics
import Foundation
import Merging
import Settings
import Tensors
import WeightFiles

/// `recipe validate`, `show`, `lock`, `import`, `methods`.
struct RecipeWork {
    let session: Session

    struct Checked {
        var path: String
        var name: String?
        var stages: Int
        var failure: Failure?

        var json: JSONValue {
            .object([
                .init("path", .string(path)), .init("valid", .bool(failure == nil)), .init("name", .optional(name)),
                .init("stages", .integer(stages)), .init("error", failure.map(AdapterDocument.failure) ?? .null),
            ])
        }

        func text(_ session: Session) -> String {
            guard failure == nil else { return "" }
            return "\(session.shown(path)): valid (\(stages) \(stages == 1 ? "stage" : "stages"))\n"
        }
    }

    func validate(_ paths: [String]) -> [Checked] {
        paths.map { path in
            do {
                let recipe = try session.recipe(at: path)
                for note in recipe.notes { session.note(note) }
                return Checked(path: path, name: recipe.name, stages: recipe.stages.count)
            } catch {
                let failure = Program.failure(from: error).at(path: path)
                session.report(failure)
                return Checked(path: path, stages: 0, failure: failure)
            }
        }
    }

    func plan(_ path: String, _ settings: [String]) throws -> RecipePlan {
        let recipe = try session.recipe(at: path, overrides: settings.map { try SettingOverride($0) })
        var options = PlanOptions()
        options.threads = session.threads
        let plan = try RecipePlanner(library: session.library(), options: options).plan(recipe)
        session.show(plan)
        return plan
    }

    func methods(_ method: String?, _ compatibility: Compatibility) throws -> String {
        let catalogue = RecipeCatalogue()
        guard let method else { return catalogue.overview() }
        if let page = catalogue.page(method, compatibility: compatibility) { return page }
        let known = catalogue.registry.all.map(\.id)
        throw Failure(
            .recipeUnknownMethod, "there is no method '\(method)'",
            hint: Spelling.hint(for: method, among: known) ?? "lorabank recipe methods lists all")
    }

    func converted(_ path: String, from source: RecipeImport.Source) throws -> String {
        let file = try MappedFile(path: path)
        let text = String(decoding: file.bytes, as: UTF8.self)
        do {
            let result = try RecipeImport().recipe(from: source, text: text)
            for note in result.notes { session.note(note) }
            return result.yaml
        } catch let failure as Failure {
            throw failure.at(path: path)
        }
    }
}

extension Session {
    /// Reads a recipe file; `-` is standard input, whose relative paths start at the working folder.
    func recipe(at path: String, overrides: [SettingOverride] = []) throws -> Recipe {
        guard path == "-" else { return try RecipeReader().read(path: path, overrides: overrides) }
        return try RecipeReader().read(
            text: standardInput(), folder: FileManager.default.currentDirectoryPath, overrides: overrides)
    }

    /// Shows what planning noticed: remarks as notes, doubtful merges as warnings.
    func show(_ plan: RecipePlan) {
        for remark in plan.notes + plan.stages.flatMap(\.notes) { note(remark) }
        for remark in MergeLint.warnings(in: plan) { warn(text(of: remark)) }
    }

    func note(_ remark: PlanNote) { note(text(of: remark)) }

    private func text(of remark: PlanNote) -> String {
        remark.place.isEmpty ? remark.message : "\(remark.place): \(remark.message)"
    }

    /// Writes a text to a file, or to standard output when no path or `-` is given.
    func write(_ text: String, to path: String?, command: String, replacing: Bool, dryRun: Bool) throws {
        guard let path, path != "-" else {
            result(.document(command, [.init("text", .string(text))])) { text }
            return
        }
        if !dryRun { try AtomicFile.write(Array(text.utf8), to: path, overwrite: replacing) }
        result(.document(command, [.init("path", .string(path)), .init("dry_run", .bool(dryRun))])) {
            "\(dryRun ? "would write" : "wrote") \(shown(path))\n"
        }
    }
}
