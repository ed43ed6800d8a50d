import Diagnostics
import Foundation
import Testing

@testable import Training

/// A temporary folder that disappears with the value's scope.
final class TemporaryFolder: Sendable {
    let path: String

    init() throws {
        path = FileManager.default.temporaryDirectory.path + "/training-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func write(_ name: String, _ bytes: [UInt8]) throws {
        let target = URL(fileURLWithPath: path + "/" + name)
        try FileManager.default.createDirectory(
            at: target.deletingLastPathComponent(), withIntermediateDirectories: true)
        try Data(bytes).write(to: target)
    }

    func write(_ name: String, _ text: String) throws { try write(name, Array(text.utf8)) }
}

func code(_ body: () throws -> some Any) -> String? {
    do {
        _ = try body()
        return nil
    } catch let failure as Failure {
        return failure.code.name
    } catch {
        return "\(error)"
    }
}

@Suite struct `Data sets in folders` {
    static func idx(_ dimensions: [Int], _ bytes: [UInt8]) -> [UInt8] {
        [0, 0, 8, UInt8(dimensions.count)]
            + dimensions.flatMap { size in (0..<4).map { UInt8(truncatingIfNeeded: size >> (24 - 8 * $0)) } } + bytes
    }

    static let meta = #"{"classes": ["a", "b"], "value_range": [0, 16], "tasks": [[0], [1]]}"#

    @Test func `IDX files with meta json`() throws {
        let folder = try TemporaryFolder()
        try folder.write("meta.json", Self.meta)
        try folder.write("train-images-idx3-ubyte", Self.idx([2, 2, 3], Array(0..<12)))
        try folder.write("train-labels-idx1-ubyte", Self.idx([2], [1, 0]))
        let data = try Dataset(path: folder.path)
        let train = try data.train().samples
        #expect(data.classNames == ["a", "b"])
        #expect(data.description.tasks == [[0], [1]])
        #expect(data.description.valueRange == 0...16)
        #expect(train.labels == [1, 0])
        guard case .images(let images) = train.store else { throw Failure(.dataMalformed, "no images") }
        #expect(images.shape == ImageShape(channels: 1, height: 2, width: 3))
        #expect(Array(images[1]) == [6, 7, 8, 9, 10, 11])
        #expect(try data.validation() == nil)
        #expect(code { try data.test() } == "data.missing")
    }

    @Test(arguments: [
        ([1, 2, 3], "data.malformed"), (Self.idx([3], [0, 1]), "data.malformed"),
        ([0, 0, 9, 1, 0, 0, 0, 1, 5], "data.unsupported"), (Self.idx([2], [0, 7]), "data.malformed"),
        (storedGzip(idx([2], [1, 0]), length: 10), "none"),
        (storedGzip(idx([2], [1, 0]), length: 9), "archive.corrupt"),
        (Array(storedGzip(idx([2], [1, 0]), length: 10).dropLast(12)), "archive.truncated"),
    ]) func `damaged labels are refused`(bytes: [UInt8], expected: String) throws {
        let folder = try TemporaryFolder()
        try folder.write("meta.json", Self.meta)
        try folder.write("train-images-idx3-ubyte", Self.idx([2, 1, 1], [1, 2]))
        try folder.write("train-labels-idx1-ubyte", bytes)
        #expect(code { try Dataset(path: folder.path).train() } ?? "none" == expected)
    }

    /// A gzip stream with one stored block and the given length in its trailer.
    static func storedGzip(_ content: [UInt8], length: UInt8) -> [UInt8] {
        let size = UInt8(content.count)
        return [0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 0xFF, 1, size, 0, ~size, 0xFF] + content + [
            0, 0, 0, 0, length, 0, 0, 0,
        ]
    }

    @Test func `text files name the line of an unknown class`() throws {
        let folder = try TemporaryFolder()
        try folder.write(
            "meta.json",
            #"{"columns": ["text", "intent"], "classes": [{"id": 0, "intent": "höhe", "domain": "x"}, {"id": 1, "intent": "tiefe", "domain": "y"}]}"#
        )
        try folder.write("train.tsv", "wie hoch\thöhe\n\nwie tief\ttiefe\r\n")
        try folder.write("test.tsv", "gut\thöhe\nschlecht\ttief\n")
        let data = try Dataset(path: folder.path)
        #expect(try data.train().samples.store == .texts(["wie hoch", "wie tief"]))
        #expect(data.description.tasks == [[0], [1]] && data.description.taskNames == ["x", "y"])
        do {
            _ = try data.test()
            Issue.record("the unknown class was accepted")
        } catch let failure as Failure {
            #expect(failure.place == "line 2")
            #expect(failure.hint?.contains("tiefe") == true)
        }
    }

    @Test func `CSV with quotes, commas and line ends`() throws {
        let folder = try TemporaryFolder()
        try folder.write("meta.json", #"{"classes": ["p", "n"]}"#)
        try folder.write("train.csv", "label,text\np,\"one, \"\"two\"\"\nthree\"\nn,plain\n")
        let samples = try Dataset(path: folder.path).train().samples
        #expect(samples.labels == [0, 1])
        #expect(samples.store == .texts(["one, \"two\"\nthree", "plain"]))
        try folder.write("train.csv", "label,text\np,\"never closed\n")
        #expect(code { try Dataset(path: folder.path).train() } == "data.malformed")
    }

    @Test func `CIFAR records`() throws {
        let folder = try TemporaryFolder()
        for batch in 1...5 {
            try folder.write("data_batch_\(batch).bin", [UInt8(batch)] + [UInt8](repeating: UInt8(batch), count: 3072))
        }
        try folder.write("test_batch.bin", [9] + [UInt8](repeating: 7, count: 3072))
        let data = try Dataset(path: folder.path)
        #expect(try data.train().samples.labels == [1, 2, 3, 4, 5])
        #expect(try data.test().read(for: "test").labels == [9])
        try folder.write("test_batch.bin", [9, 1])
        #expect(code { try data.test() } == "data.malformed")
    }

    @Test func `a test split counts its readings`() {
        let split = TestSplit(LabelledSamples(store: .texts(["a"]), labels: [0]))
        _ = split.read(for: "report")
        _ = split.read(for: "report")
        #expect(split.readingCounts == ["report": 2])
    }
}

@Suite struct `Stratified parts` {
    static let samples = LabelledSamples(
        store: .texts((0..<107).map { "t\($0)" }), labels: (0..<107).map { $0 < 4 ? 2 : $0 % 2 })

    @Test func `parts are disjoint, complete and by class`() {
        let parts = StratifiedSplit.holdOut(from: Self.samples, classes: 3, fraction: 0.2, minimum: 5, seed: 3)
        let train = Set(parts.train.samples.sourceIndices)
        let held = Set(parts.validation.samples.sourceIndices)
        #expect(train.isDisjoint(with: held))
        #expect(train.union(held).count == 107)
        let counts = parts.validation.samples.positions(classes: 3).map(\.count)
        let sizes = Self.samples.positions(classes: 3).map(\.count)
        #expect(counts[0] == Int((0.2 * Double(sizes[0])).rounded(.up)))
        #expect(counts[2] == 2 && parts.smallClasses == [2])
    }

    @Test func `the seed decides, not the other classes`() {
        let first = StratifiedSplit.holdOut(from: Self.samples, classes: 3, seed: 3).validation.samples
        let again = StratifiedSplit.holdOut(from: Self.samples, classes: 3, seed: 3).validation.samples
        let other = StratifiedSplit.holdOut(from: Self.samples, classes: 3, seed: 4).validation.samples
        #expect(first == again)
        #expect(first.sourceIndices != other.sourceIndices)
        let positions = Self.samples.positions(classes: 3)
        #expect(first.sourceIndices != positions.flatMap { $0.prefix(5) }.sorted())
    }

    @Test func `a subsample has equal shares`() throws {
        let picked = try StratifiedSplit.subsample(Self.samples, classes: 3, count: 50, seed: 1)
        #expect(picked.count == 50)
        #expect(picked.positions(classes: 3).map(\.count) == [23, 23, 4])
        #expect(code { try StratifiedSplit.subsample(Self.samples, classes: 3, count: 108, seed: 1) } == "data.too_few")
    }
}

@Suite struct `Image augmentation` {
    static let shape = ImageShape(channels: 1, height: 5, width: 5)

    static func applied(_ augmentation: ImageAugmentation, sample: Int, epoch: Int, to image: [Float]) -> [Float] {
        var target = [Float](repeating: -1, count: image.count)
        image.withUnsafeBufferPointer { source in
            target.withUnsafeMutableBufferPointer {
                augmentation.apply(source, shape: shape, sample: sample, epoch: epoch, into: $0)
            }
        }
        return target
    }

    static let image = (0..<25).map { Float($0 * $0 % 17) }

    @Test func `none gives the image back`() {
        #expect(Self.applied(.none, sample: 4, epoch: 2, to: Self.image) == Self.image)
    }

    @Test func `draws depend on sample and epoch only`() {
        let augmentation = ImageAugmentation(shift: 0.2, rotationDegrees: 15, scale: 0.2, flips: true, seed: 9)
        let first = Self.applied(augmentation, sample: 1, epoch: 0, to: Self.image)
        #expect(first == Self.applied(augmentation, sample: 1, epoch: 0, to: Self.image))
        #expect(first != Self.applied(augmentation, sample: 1, epoch: 1, to: Self.image))
        #expect(first != Self.applied(augmentation, sample: 2, epoch: 0, to: Self.image))
    }

    @Test func `a flip mirrors rows`() {
        let augmentation = ImageAugmentation(shift: 0, rotationDegrees: 0, scale: 0, flips: true, seed: 9)
        let mirrored = (0..<5).flatMap { row in (0..<5).reversed().map { Self.image[row * 5 + $0] } }
        let seen = Set((0..<40).map { Self.applied(augmentation, sample: $0, epoch: 0, to: Self.image) })
        #expect(seen == [Self.image, mirrored])
    }
}

@Suite struct `Image folders` {
    static let folder = TrainingFixtures.folder + "/images"

    @Test func `PNG and JPEG of all colour types become planes`() throws {
        let data = try Dataset(path: Self.folder)
        let samples = try data.train().samples
        #expect(data.classNames == ["blue", "red"])
        #expect(samples.labels == [0, 1, 1])
        guard case .images(let images) = samples.store else { throw Failure(.dataMalformed, "no images") }
        #expect(images.shape == ImageShape(channels: 3, height: 2, width: 3))
        #expect(Array(images[0]) == [10, 0, 0, 0, 0, 0, 20, 0, 0, 0, 0, 0, 30, 200, 200, 200, 200, 200])
        #expect(Array(images[1]) == [UInt8](repeating: 250, count: 6) + [UInt8](repeating: 0, count: 12))
        for (position, value) in images[2].enumerated() {
            #expect(abs(Int(value) - (position < 6 ? 240 : 0)) <= 3)
        }
    }

    @Test func `a damaged image is named`() throws {
        let folder = try TemporaryFolder()
        let whole = try #require(FileManager.default.contents(atPath: Self.folder + "/blue/1.png"))
        try folder.write("a/1.png", Array(whole.dropLast(20)))
        try folder.write("b/1.jpg", [0xFF, 0xD8, 0xFF, 0xE0, 0, 1])
        #expect(code { try ImageFile.read(folder.path + "/a/1.png", grayscale: false) } == "data.malformed")
        #expect(code { try ImageFile.read(folder.path + "/b/1.jpg", grayscale: false) } == "data.malformed")
        try folder.write("a/2.png", "no image")
        #expect(code { try ImageFile.read(folder.path + "/a/2.png", grayscale: false) } == "data.unsupported")
    }
}
