import Diagnostics
import Settings
import Testing

@testable import Merging

/// Mutated recipes: the reader accepts them or refuses them with a code and a place; it never crashes or hangs.
@Suite struct RecipeFuzzTests {
    /// A small generator with a fixed seed, so that a failure comes again.
    struct Generator: RandomNumberGenerator {
        var state: UInt64

        mutating func next() -> UInt64 {
            state &+= 0x9E37_79B9_7F4A_7C15
            var z = state
            z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
            z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
            return z ^ (z >> 31)
        }
    }

    static let corpus = [
        ProvenanceTests.recipe, RecipeFormsTests.mergekit, RecipeGrammarTests.twoStages,
        """
        version: 1
        name: x
        merge_method: tsv_m
        base_model: base/model@main
        models: [ { model: a, parameters: &p { weight: 0.5 } }, { model: b, parameters: *p } ]
        parameters: { k: { energy: 0.9 }, lambda: { per: layer, values: { 0: 1, 1: 2 } } }
        post: [ svc, { svc: { alpha: 1.0 } } ]
        search: { over: { lambda: [0.1, 0.2] }, strategy: grid, budget: 5 }
        limits: { memory: 2GiB, threads: 2 }
        """,
    ]

    static let tokens = [
        "*p", "&q ", "- ", "? ", ": ", "[", "]", "{", "}", "\"", "'", "#", "|\n", ">\n", "---\n", "...\n", "!!str ",
        "%YAML 1.2\n",
        "<<: ", "null", "~", ".nan", "-.inf", "1e999", "0x", "99999999999999999999", "re:(", "re:a{1,1000}", "stage:x",
        "\t",
        "\u{0}", "\u{85}", "\u{2028}", "\u{FEFF}", "\u{202E}", "é", "stages: ", "models: ", "compat: mergekit\n",
        "weight: ",
    ]

    static func mutate(_ text: String, _ generator: inout Generator) -> String {
        var bytes = Array(text.utf8)
        for _ in 0...Int(generator.next() % 4) {
            let at = bytes.isEmpty ? 0 : Int(generator.next() % UInt64(bytes.count))
            switch generator.next() % 7 {
            case 0 where !bytes.isEmpty: bytes[at] = UInt8(truncatingIfNeeded: generator.next())
            case 1 where !bytes.isEmpty: bytes.remove(at: at)
            case 2: bytes.insert(contentsOf: Array((tokens.randomElement(using: &generator) ?? "").utf8), at: at)
            case 3: bytes.removeSubrange(at..<min(bytes.count, at + Int(generator.next() % 40)))
            case 4:
                let end = min(bytes.count, at + Int(generator.next() % 60))
                bytes.insert(contentsOf: bytes[at..<end], at: Int(generator.next() % UInt64(bytes.count + 1)))
            case 5: bytes.insert(contentsOf: [UInt8](repeating: 0x20, count: Int(generator.next() % 6)), at: at)
            default: bytes.insert(contentsOf: Array(tokens[Int(generator.next() % 8)].utf8), at: at)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    @Test(arguments: 0..<4)
    func `mutated recipes are read or refused in words`(_ series: Int) {
        let reader = RecipeReader(registry: TestMethods.registry)
        let planner = RecipePlanner(
            library: MemoryLibrary(TestAdapters.adapter("a"), TestAdapters.adapter("b")), registry: TestMethods.registry
        )
        var generator = Generator(state: UInt64(series))
        var accepted = 0
        var refused: [String: Int] = [:]
        for round in 0..<5_200 {
            let text = Self.mutate(Self.corpus[(round + series) % Self.corpus.count], &generator)
            do {
                let recipe = try reader.read(text: text, folder: "")
                accepted += 1
                _ = try? planner.plan(recipe)
            } catch let failure as Failure {
                refused[failure.code.name, default: 0] += 1
                if failure.code.area != "recipe" || failure.place == nil {
                    Issue.record("\(failure) for\n\(text)")
                }
            } catch {
                Issue.record("\(error) for\n\(text)")
            }
        }
        #expect(accepted > 200)
        #expect(refused.keys.count >= 4)
    }

    @Test func `mutated options are read or refused in words`() {
        var generator = Generator(state: 99)
        for _ in 0..<3_000 {
            let text = Self.mutate("models[0].parameters.weight={energy: [1, 2]}", &generator)
            do {
                let override = try SettingOverride(text)
                _ = try override.applied(to: .mapping([], at: .option("")))
            } catch let failure as Failure {
                #expect(failure.code.errorClass == .usage, "\(failure)")
            } catch {
                Issue.record("\(error) for \(text)")
            }
        }
    }
}
