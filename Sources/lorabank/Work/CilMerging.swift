import Adapters
import ContinualLearning
import Diagnostics
import Foundation
import Merging

/// The adapters of a run where a recipe asks for adapters, whatever reference it asks by.
struct TaskAdapters: AdapterLibrary {
    let adapters: [Adapter]

    func adapters(for reference: String, relativeTo folder: String) throws -> [NamedAdapter] {
        adapters.enumerated().map { task, adapter in
            NamedAdapter(name: "task-\(task)", version: nil, object: nil, reference: reference, adapter: adapter)
        }
    }
}

/// `cil replay --merge`: a merge recipe over the adapters of a run.
struct CilMerging {
    let session: Session
    let recipe: Recipe
    /// In tables.
    let name: String

    /// - Parameter recipe: a recipe file (with a slash or an ending), or a merge method with its defaults. Its `models`
    ///   have one entry, which stands for all adapters of the run.
    init(_ recipe: String, session: Session) throws {
        self.session = session
        let isFile = recipe.contains("/") || recipe.hasSuffix(".yaml") || recipe.hasSuffix(".yml")
        if isFile {
            self.recipe = try session.recipe(at: recipe)
            name = URL(fileURLWithPath: recipe).deletingPathExtension().lastPathComponent
        } else {
            self.recipe = try RecipeReader().inline(method: recipe, references: ["task"], folder: "")
            name = recipe
        }
        guard self.recipe.stages.count == 1, self.recipe.stages[0].models.count == 1,
            self.recipe.stages[0].baseModel == nil
        else {
            throw Failure(
                .recipeBadParameter,
                "the recipe has several stages or models, and one entry has to stand for all adapters of the run",
                path: isFile ? recipe : nil, place: "models",
                hint: "name each adapter of a finished run in a recipe of its own, and use `lorabank merge`")
        }
    }

    /// One adapter made of several.
    func merge(_ adapters: [Adapter]) throws -> Adapter {
        var options = PlanOptions()
        options.threads = session.threads
        let work = MergeWork(session: session, allowUnapproved: false)
        return try work.adapter(of: recipe, from: TaskAdapters(adapters: adapters), options: options)
    }
}
