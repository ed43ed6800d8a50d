import Adapters
import Diagnostics
import Foundation
import Networks
import Tensors
import Testing
import Training
import WeightFiles

@testable import Evaluation

@Suite struct EvaluatorTests {
    static let suites = [("digits", ["task0", "task1"]), ("words", ["money", "food", "trips"])]

    @Test(arguments: suites, Folding.allCases)
    func `predictions are those of the reference pass`(suite: (String, [String]), folding: Folding) throws {
        let (name, adapters) = suite
        let tiny = try TinySuite(name)
        let subjects = try [.backbone] + adapters.map(tiny.subject) + [tiny.oracle(adapters)]
        let evaluation = try tiny.evaluator(folding: folding).evaluate(subjects)
        #expect(evaluation.results.map(\.subject) == ["backbone"] + adapters + ["oracle"])
        for result in evaluation.results {
            let expected = try #require(tiny.expected[result.subject])
            #expect(result.tally.predictions == (try tiny.predictions(result.subject)), "\(result.subject)")
            #expect(result.correctGlobal == expected["correct_global"]?.integer, "\(result.subject)")
            #expect(result.correctLocal == expected["correct_local"]?.integer, "\(result.subject)")
            let perTask = try #require(expected["per_task"]?.array).compactMap { $0.double }
            for (found, wanted) in zip(result.tally.accuracyPerTask, perTask) {
                #expect(abs(try #require(found) - wanted) < 1e-12)
            }
            #expect(result.nonFinite == 0)
        }
    }

    @Test(arguments: suites)
    func `features are those of the reference pass`(suite: (String, [String])) throws {
        let tiny = try TinySuite(suite.0)
        let samples = try tiny.loaded.samples().selecting([0, 1, 2, 3])
        for (label, subject) in [("backbone", Subject.backbone), (suite.1[0], try tiny.subject(suite.1[0]))] {
            let found = try tiny.evaluator().features(of: subject, samples)
            let rows = try #require(tiny.expected["features"]?[label]?.array)
            let expected = rows.flatMap { $0.array ?? [] }
            let error = zip(found.elements, expected).map { abs(Double($0) - ($1.double ?? .infinity)) }.max()
            #expect(found.rows == 4 && found.elements.count == expected.count)
            #expect(try #require(error) < 2e-6, "\(label)")
        }
    }

    @Test(arguments: suites)
    func `folding changes features by less than 1e-6`(suite: (String, [String])) throws {
        let tiny = try TinySuite(suite.0)
        let samples = try tiny.loaded.samples()
        for name in suite.1 {
            let subject = try tiny.subject(name)
            let beside = try tiny.evaluator(folding: .never).features(of: subject, samples)
            let folded = try tiny.evaluator(folding: .always).features(of: subject, samples)
            let error = zip(beside.elements, folded.elements).map { abs($0 - $1) }.max() ?? .infinity
            #expect(error < 1e-6, "\(name): \(error)")
        }
    }

    @Test(arguments: suites)
    func `a sample's features are the same bits in any company and on any number of threads`(
        suite: (String, [String])
    ) throws {
        let tiny = try TinySuite(suite.0)
        let samples = try tiny.loaded.samples()
        let subject = try tiny.subject(suite.1[0])
        let all = try tiny.evaluator(threads: 2).features(of: subject, samples)
        let positions = [samples.count - 1, 5, 17, 2]
        let few = try tiny.evaluator().features(of: subject, samples.selecting(positions))
        for (row, position) in positions.enumerated() {
            let one = try tiny.evaluator().features(of: subject, samples.selecting([position]))
            let expected = all.elements[position * all.columns..<(position + 1) * all.columns]
            #expect(Array(expected) == one.elements)
            #expect(expected == few.elements[row * all.columns..<(row + 1) * all.columns])
        }
    }

    /// `task0` leaves the first block alone: side by side with the backbone that block runs once.
    @Test func `layers below the adapters are shared without changing a bit`() throws {
        let tiny = try TinySuite("digits")
        let encoded = try tiny.loaded.encode(try tiny.loaded.samples())
        let evaluator = tiny.evaluator(folding: .never)
        let adapter = try evaluator.prepare(tiny.adapter("task0"), label: "task0")
        #expect(adapter.firstLayer == 1)
        func features(_ subjects: [PreparedSubject]) throws -> [Matrix<Float>] {
            var found = [Matrix<Float>](repeating: Matrix(rows: 0, columns: 0), count: subjects.count)
            try evaluator.stream.run(
                encoded, Array(0..<encoded.count), through: subjects, progress: SilentProgress(),
                isCancelled: Evaluator.never
            ) { found[$0] = $2 }
            return found
        }
        let bare = PreparedSubject(backbone: tiny.loaded.backbone)
        let together = try features([bare, adapter])
        #expect(together[0] == (try features([bare])[0]))
        #expect(together[1] == (try features([adapter])[0]))
    }

    @Test func `little memory means more rounds and the same result`() throws {
        let tiny = try TinySuite("words")
        let subjects = try [.backbone] + ["money", "food", "trips"].map(tiny.subject)
        let progress = CountingProgress()
        let tight = try tiny.evaluator(folding: .always, memory: 1).evaluate(subjects, progress: progress)
        let roomy = try tiny.evaluator(folding: .always).evaluate(subjects)
        #expect(tight.results.map(\.tally) == roomy.results.map(\.tally))
        #expect(progress.totals.count == 4 && progress.done == 4 * 54)
    }

    @Test func `what the oracle shares with other subjects runs once`() throws {
        let tiny = try TinySuite("digits")
        let progress = CountingProgress()
        let subjects = try [tiny.subject("task0"), tiny.oracle(["task0", "task1"])]
        let evaluation = try tiny.evaluator().evaluate(subjects, progress: progress)
        let samples = try tiny.loaded.samples()
        let second = samples.labels.filter { $0 >= 2 }.count
        #expect(progress.done == Int64(samples.count + second))
        #expect(evaluation.results[1].tally.predictions == (try tiny.predictions("oracle")))
    }

    @Test func `a subject that does not fit is reported and the others go on`() throws {
        let tiny = try TinySuite("digits")
        let foreign = try TinySuite("words").subject("money")
        var failures: [Failure] = []
        let evaluation = try tiny.evaluator().evaluate([foreign, .backbone], onFailure: { failures.append($1) })
        #expect(evaluation.results.map(\.subject) == ["backbone"])
        #expect(failures.map(\.code) == [.backboneAdapterMismatch])
        #expect(failures.first?.message.hasPrefix("'money' does not run on the backbone") == true)
        #expect(failure { try tiny.evaluator().evaluate([foreign]) }?.code == .backboneAdapterMismatch)
    }

    @Test func `an evaluation can be stopped`() throws {
        let tiny = try TinySuite("digits")
        #expect(throws: CancellationError.self) {
            try tiny.evaluator().evaluate([.backbone], isCancelled: { true })
        }
    }

    @Test func `subjects are compared with the first on the same samples`() throws {
        let tiny = try TinySuite("digits")
        let evaluation = try tiny.evaluator().evaluate([.backbone, tiny.subject("task0")])
        let comparison = try #require(evaluation.comparisons().first)
        let difference = Double(19 - 36) / 61
        #expect(comparison.first == "task0" && comparison.second == "backbone")
        #expect(abs(comparison.bootstrap.difference - difference) < 1e-12)
        #expect(comparison.bootstrap.interval.contains(difference))
        let interval = try #require(evaluation.results[0].interval)
        #expect(interval.contains(36.0 / 61))
    }
}
