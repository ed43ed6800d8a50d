import Diagnostics
import LinearAlgebra
import Networks
import Tensors
import Testing

@testable import ContinualLearning

/// Features of `classes` well separated groups.
enum SampleFeatures {
    static func group(_ labels: [Int], width: Int = 6, spread: Float = 0.6, seed: UInt64 = 3) -> Matrix<Float> {
        let noise = CounterRandom(seed: seed, stream: "noise").normalMatrix(rows: labels.count, columns: width)
        let centres = CounterRandom(seed: 8, stream: "centres").normalMatrix(rows: 10, columns: width)
        var rows = noise.scaled(by: spread)
        for (row, label) in labels.enumerated() {
            for column in 0..<width { rows[row, column] += 2 * centres[label, column] }
        }
        return rows
    }

    static func labels(_ classes: [Int], each count: Int) -> [Int] {
        (0..<classes.count * count).map { classes[$0 % classes.count] }
    }

    static func accuracy(_ head: any ClassHead, _ features: Matrix<Float>, _ labels: [Int], among: [Int]) -> Double {
        let scores = head.logits(features)
        let right = labels.indices.count { row in
            among.max { scores[row, $0] < scores[row, $1] } == labels[row]
        }
        return Double(right) / Double(labels.count)
    }
}

@Suite struct `Statistics heads` {
    let tasks = [[0, 1], [2, 3], [4, 5]]

    func learned(_ options: StatisticsHeadOptions, order: [Int] = [0, 1, 2]) throws -> StatisticsHead {
        var head = StatisticsHead(options, width: 6, classCount: 6)
        for task in order {
            let labels = SampleFeatures.labels(tasks[task], each: 30)
            try head.learn(task: task, features: SampleFeatures.group(labels, seed: UInt64(task)), labels: labels)
        }
        return head
    }

    @Test(arguments: StatisticsHeadOptions.Kind.allCases)
    func `three tasks of separated classes are told apart`(_ kind: StatisticsHeadOptions.Kind) throws {
        let head = try learned(StatisticsHeadOptions(kind))
        #expect(head.learned == [0, 1, 2, 3, 4, 5])
        let labels = SampleFeatures.labels(head.learned, each: 20)
        let accuracy = SampleFeatures.accuracy(
            try head.head(), SampleFeatures.group(labels, seed: 99), labels, among: head.learned)
        #expect(accuracy > 0.85, "\(kind) \(accuracy)")
    }

    @Test(arguments: [StatisticsHeadOptions.Kind.ncm, .lda, .ridge, .ranpac])
    func `the order of tasks does not matter with frozen features`(_ kind: StatisticsHeadOptions.Kind) throws {
        var options = StatisticsHeadOptions(kind)
        options.lambda = 0.5
        options.hidden = kind == .ranpac ? 40 : nil
        let labels = SampleFeatures.labels([0, 1, 2, 3, 4, 5], each: 5)
        let probe = SampleFeatures.group(labels, seed: 44)
        let first = try learned(options).head().logits(probe)
        let second = try learned(options, order: [2, 0, 1]).head().logits(probe)
        let size = first.elements.map { abs($0) }.max() ?? 0
        let gap = zip(first.elements, second.elements).map { abs($0 - $1) }.max() ?? 1
        #expect(gap <= 1e-5 * size)
    }

    @Test func `ridge at a fixed lambda is the direct solution on all data`() throws {
        var options = StatisticsHeadOptions(.ridge)
        options.lambda = 2
        let head = try learned(options)
        var all: [Matrix<Float>] = []
        var labels: [Int] = []
        for task in 0..<3 {
            let own = SampleFeatures.labels(tasks[task], each: 30)
            all.append(SampleFeatures.group(own, seed: UInt64(task)))
            labels += own
        }
        let f = Matrix.stacked(all).inDouble
        var gram = try symmetricProduct(f, transposed: true)
        for i in 0..<6 { gram[i, i] += 2 }
        var targets = Matrix<Double>(rows: labels.count, columns: 6)
        for (row, label) in labels.enumerated() { targets[row, label] = 1 }
        let weight = try solve(gram, multiply(f, targets, transposeA: true))
        let probe = SampleFeatures.group([0, 3, 5], seed: 45)
        let wanted = try multiply(probe.inDouble, weight)
        let found = try head.head().logits(probe).inDouble
        #expect(found.minus(wanted).frobeniusNorm < 1e-6 * wanted.frobeniusNorm)
    }

    @Test func `as many samples as random features do not break a chosen lambda`() throws {
        // Each task alone has far fewer samples than random features, all together have as many.
        var options = StatisticsHeadOptions(.ranpac)
        options.hidden = 180
        var head = StatisticsHead(options, width: 6, classCount: 6)
        for task in 0..<3 {
            let labels = SampleFeatures.labels(tasks[task], each: 30)
            try head.learn(
                task: task, features: SampleFeatures.group(labels, spread: 1, seed: UInt64(task)), labels: labels)
        }
        let gram = try #require(head.state["gram"])
        #expect(head.lambda >= 0.999 / 8_388_608 * (0..<180).reduce(0) { $0 + gram[$1, $1] })
        let labels = SampleFeatures.labels(head.learned, each: 30)
        let probe = SampleFeatures.group(labels, spread: 1, seed: 98)
        let chosen = SampleFeatures.accuracy(try head.head(), probe, labels, among: head.learned)
        #expect(chosen > 0.8, "\(chosen) at \(head.lambda)")
    }

    @Test(arguments: [StatisticsHeadOptions.Kind.ncm, .lda, .align])
    func `a linear drift is undone`(_ kind: StatisticsHeadOptions.Kind) throws {
        // A rotation and stretch of all features while task 1 is learned.
        let random = CounterRandom(seed: 12, stream: "turn").normalMatrix(rows: 6, columns: 6)
        let turn = try thinQR(random.inDouble).q
        func moved(_ x: Matrix<Float>) throws -> Matrix<Float> {
            try multiply(x.inDouble, turn, transposeB: true).inFloat
        }
        var accuracies: [Double] = []
        for drift in StatisticsHeadOptions.Drift.allCases {
            var options = StatisticsHeadOptions(kind, drift: drift)
            options.driftStrength = 1e-4
            var head = StatisticsHead(options, width: 6, classCount: 6)
            let first = SampleFeatures.labels([0, 1, 2, 3], each: 30)
            try head.learn(task: 0, features: SampleFeatures.group(first, seed: 1), labels: first)
            let second = SampleFeatures.labels([4, 5], each: 40)
            let before = SampleFeatures.group(second, spread: 1, seed: 2)
            try head.learn(task: 1, features: moved(before), labels: second, before: before)
            #expect(head.driftCosines[0] == nil && (head.driftCosines[1] ?? 1) < 0.9)
            let test = try moved(SampleFeatures.group(first, seed: 50))
            accuracies.append(SampleFeatures.accuracy(try head.head(), test, first, among: [0, 1, 2, 3, 4, 5]))
        }
        #expect(accuracies[1] > 0.8 && accuracies[1] > accuracies[0] + 0.2, "\(kind) \(accuracies)")
    }

    @Test func `statistics of a class in two parts are those of the whole`() throws {
        let labels = SampleFeatures.labels([1, 2], each: 20)
        let features = SampleFeatures.group(labels)
        var whole = ClassStatistics(width: 6, classCount: 3, keepsCovariances: true)
        try whole.add(features, labels: labels)
        var parts = ClassStatistics(width: 6, classCount: 3, keepsCovariances: true)
        try parts.add(features.rows(0..<14), labels: Array(labels[0..<14]))
        try parts.add(features.rows(14..<40), labels: Array(labels[14..<40]))
        #expect(parts.means.minus(whole.means).frobeniusNorm < 1e-10)
        #expect(parts.scatter.minus(whole.scatter).frobeniusNorm < 1e-9)
        let covariance = try #require(parts.covariances[2])
        #expect(covariance.minus(try #require(whole.covariances[2])).frobeniusNorm < 1e-10)
    }

    @Test(arguments: StatisticsHeadOptions.Kind.allCases)
    func `a stored head is put back, strictly`(_ kind: StatisticsHeadOptions.Kind) throws {
        let head = try learned(StatisticsHeadOptions(kind))
        var copy = StatisticsHead(head.options, width: 6, classCount: 6)
        try copy.restore(head.state)
        let probe = SampleFeatures.group([0, 1, 2], seed: 46)
        #expect(try copy.head().logits(probe) == head.head().logits(probe))
        #expect(copy.driftCosines == head.driftCosines)
        var lacking = head.state
        lacking["means"] = nil
        #expect(throws: Failure.self) { try copy.restore(lacking) }
        var stray = head.state
        stray["more"] = Matrix(rows: 1, columns: 1)
        #expect(throws: Failure.self) { try copy.restore(stray) }
    }

    @Test func `weight alignment gives new rows the mean norm of old ones`() throws {
        var head = LinearHead(weight: SampleFeatures.group([0, 1, 2, 3]))
        let old = try #require(WeightAlignment.meanNorm(head, [0, 1]))
        let rows = head.weight.rows(0..<2)
        WeightAlignment.align(&head, old: [0, 1], new: [2, 3])
        #expect(abs(try #require(WeightAlignment.meanNorm(head, [2, 3])) - old) < 1e-5)
        #expect(head.weight.rows(0..<2) == rows)
        #expect(WeightAlignment.align(&head, old: [], new: [2]) == nil)
    }
}
