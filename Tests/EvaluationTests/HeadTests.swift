import Adapters
import Diagnostics
import Foundation
import Networks
import Tensors
import Testing
import Training
import WeightFiles

@testable import Evaluation

@Suite struct HeadTests {
    /// The fixture's head holds the class means of the backbone's features over the training images.
    @Test func `class means of the backbone reproduce the fixed head`() throws {
        let fitted = try TinySuite("digits", "head={ncm: train, features: backbone, scale: 20}")
        let subjects = try [.backbone, fitted.subject("task1")]
        let evaluation = try fitted.evaluator().evaluate(subjects)
        for result in evaluation.results {
            #expect(result.tally.predictions == (try fitted.predictions(result.subject)), "\(result.subject)")
        }
    }

    @Test func `class means of the subject's own features`() throws {
        let tiny = try TinySuite("digits", "head={ncm: train}")
        let subject = try tiny.subject("task1")
        let train = try tiny.loaded.trainingSamples()
        let test = try tiny.loaded.samples()
        var means = NearestMean(width: 16, classCount: 4)
        means.add(try tiny.evaluator().features(of: subject, train), labels: train.labels)
        let logits = means.head().logits(try tiny.evaluator().features(of: subject, test))
        let expected = (0..<test.count).map { row in
            (0..<4).max { logits[row, $0] < logits[row, $1] } ?? -1
        }
        let found = try tiny.evaluator(threads: 2).evaluate([subject]).results[0].tally.predictions
        #expect(found == expected)
        #expect(found != (try tiny.predictions("task1")))
    }

    @Test(arguments: ["{ridge: train}", "{ridge: train, lambda: 1, hidden: 0}", "{lda: train, shrinkage: 0.3}"])
    func `solved heads beat chance on their features`(head: String) throws {
        let tiny = try TinySuite("digits", "head=\(head)")
        let one = try tiny.evaluator().evaluate([.backbone]).results[0]
        #expect(one.correctGlobal > 25)
        #expect(one.nonFinite == 0)
        #expect(one.tally == (try tiny.evaluator(threads: 2).evaluate([.backbone]).results[0].tally))
    }

    @Test func `the adapter's own head`() throws {
        let tiny = try TinySuite("digits", "head={from: adapter}")
        var adapter = try tiny.adapter("task0")
        let head = try SafetensorsFile(path: tiny.folder + "/head.safetensors")
        let weight = try #require(head.view("weight"))
        let named = TensorView(
            name: "classifier.weight", dtype: weight.dtype, shape: weight.shape, bytes: weight.bytes,
            owner: weight.owner)
        adapter.saved = [SavedTensor(name: "classifier.weight", role: .savedModule, tensor: named)]
        let subject = Subject(label: "task0", kind: .adapter(adapter))
        #expect(try tiny.evaluator().evaluate([subject]).results[0].tally.predictions == tiny.predictions("task0"))
        // The same beside the adapter, where it is no part of the update.
        var beside = try tiny.adapter("task0")
        beside.head = AdapterHead(weight: weight, bias: head.view("bias"))
        let found = try tiny.evaluator().evaluate([Subject(label: "task0", kind: .adapter(beside))])
        #expect(found.results[0].tally.predictions == (try tiny.predictions("task0")))
        let bare = try #require(failure { try tiny.evaluator().evaluate([.backbone]) })
        #expect(bare.code == .dataMissing && bare.place == "head.from")
        let without = try #require(failure { try tiny.evaluator().evaluate([tiny.subject("task1")]) })
        #expect(without.hint?.contains("modules_to_save") == true)
    }

    /// A checkpoint as libraries publish it: the head among the weights, its classes in an order of their own.
    @Test func `the classifier of the backbone's checkpoint`() throws {
        let tiny = try TinySuite("digits")
        let folder = FileManager.default.temporaryDirectory.path + "/published-\(UUID().uuidString)"
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        let order = [2, 0, 3, 1]
        let names = order.enumerated().map { "\"\($0)\": \"\(tiny.loaded.dataset.classNames[$1])\"" }
        let old = try String(contentsOfFile: tiny.folder + "/backbone/config.json", encoding: .utf8)
        let text = try #require(old.range(of: "{")).upperBound
        try ("{\"id2label\": {\(names.joined(separator: ", "))}," + old[text...]).write(
            toFile: folder + "/config.json", atomically: true, encoding: .utf8)
        let head = try #require(try SafetensorsFile(path: tiny.folder + "/head.safetensors").view("weight"))
        let rows = try head.floatMatrix(rows: 4, columns: 16)
        let permuted = order.flatMap { rows.elements[$0 * 16..<($0 + 1) * 16] }
        let weights = try SafetensorsFile(path: tiny.folder + "/backbone/model.safetensors")
        try permuted.withUnsafeBytes { bytes in
            let own = TensorView(name: "head.weight", dtype: .f32, shape: [4, 16], bytes: bytes, owner: head.owner)
            _ = try SafetensorsWriter.write(weights.tensors + [own], to: folder + "/model.safetensors")
        }
        let own = try TinySuite("digits", "backbone=\(folder)", "head={from: backbone}")
        let found = try own.evaluator().evaluate([.backbone]).results[0].tally.predictions
        #expect(found == (try tiny.predictions("backbone")))
        let file = try TinySuite("digits", "head={linear: \(folder)}")
        let raw = try file.evaluator().evaluate([.backbone]).results[0].tally.predictions
        #expect(raw.map { order[$0] } == found)
        let none = try TinySuite("digits", "head={from: backbone}")
        #expect(failure { try none.evaluator().evaluate([.backbone]) }?.code == .dataMissing)
    }

    @Test func `class names as prototypes`() throws {
        let tiny = try TinySuite("words")
        let names = try tiny.evaluator().evaluate([.backbone]).results[0].tally.predictions
        #expect(names == (try tiny.predictions("backbone")))
    }

    @Test func `undefined accuracies are nil`() throws {
        let tiny = try TinySuite("digits", "tasks=[[0, 1]]")
        let result = try tiny.evaluator().evaluate([.backbone]).results[0]
        #expect(result.tally.countLocal < result.tally.count)
        let none = try TinySuite("digits", "tasks=[]").evaluator().evaluate([.backbone]).results[0]
        #expect(none.accuracyLocal == nil && none.correctLocal == nil && none.localInterval == nil)
    }
}
