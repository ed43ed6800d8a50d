import LinearAlgebra
import Tensors
import Testing

@testable import Networks

@Suite struct `Heads on features` {
    static func features(_ rows: Int, _ columns: Int, seed: UInt64, classes: Int) -> (Matrix<Float>, [Int]) {
        var matrix = CounterRandom(seed: seed, stream: "features").normalMatrix(rows: rows, columns: columns)
        let labels = (0..<rows).map { $0 * 7 % classes }
        for row in 0..<rows { matrix[row, labels[row] % columns] += 3 }
        return (matrix, labels)
    }

    static func largest(_ logits: Matrix<Float>, _ row: Int) -> Int {
        (0..<logits.columns).max { logits[row, $0] < logits[row, $1] } ?? 0
    }

    static func accuracy(_ head: some ClassHead, _ features: Matrix<Float>, _ labels: [Int]) -> Double {
        let logits = head.logits(features)
        return Double(labels.indices.filter { largest(logits, $0) == labels[$0] }.count) / Double(labels.count)
    }

    @Test func `linear scores equal plain loops`() {
        let (f, _) = Self.features(5, 70, seed: 1, classes: 3)
        let w = CounterRandom(seed: 2, stream: "w").normalMatrix(rows: 3, columns: 70)
        let logits = LinearHead(weight: w, bias: [1, 2, 3], scale: 2).logits(f)
        for row in 0..<5 {
            for label in 0..<3 {
                let sum = (0..<70).reduce(0.0) { $0 + Double(f[row, $1]) * Double(w[label, $1]) }
                #expect(abs(Double(logits[row, label]) - (2 * sum + Double(label + 1))) < 1e-4)
            }
        }
    }

    @Test func `scores do not depend on neighbours, bit for bit`() {
        let (f, labels) = Self.features(33, 50, seed: 3, classes: 4)
        var ridge = RandomFeatureRidge(width: 50, classCount: 4, hidden: 90)
        try? ridge.add(f, labels: labels)
        guard let head = try? ridge.head(lambda: 1) else { return #expect(Bool(false), "no head") }
        let all = head.logits(f)
        for row in [0, 7, 32] {
            #expect(head.logits(f.rows(row..<row + 1)).elements == all.rows(row..<row + 1).elements)
        }
    }

    @Test func `nearest means are the means of unit features, whatever the order`() {
        let (f, labels) = Self.features(40, 12, seed: 5, classes: 4)
        var forward = NearestMean(width: 12, classCount: 5)
        forward.add(f, labels: labels)
        var backward = NearestMean(width: 12, classCount: 5)
        for row in (0..<40).reversed() { backward.add(f.rows(row..<row + 1), labels: [labels[row]]) }
        let unit = FeatureRows.unitLength(f)
        for label in 0..<4 {
            let members = labels.indices.filter { labels[$0] == label }
            for column in 0..<12 {
                let mean = members.reduce(0.0) { $0 + Double(unit[$1, column]) } / Double(members.count)
                #expect(abs(Double(forward.means[label, column]) - mean) < 1e-6)
                #expect(abs(forward.means[label, column] - backward.means[label, column]) < 1e-6)
            }
        }
        #expect(forward.means.rows(4..<5).elements.allSatisfy { $0 == 0 })
        #expect(Self.accuracy(forward.head(), f, labels) > 0.8)
    }

    @Test func `ridge at a fixed lambda equals a direct solve and forgets no task`() throws {
        let (f, labels) = Self.features(60, 8, seed: 7, classes: 3)
        var inOrder = RandomFeatureRidge(width: 8, classCount: 3, hidden: 20, seed: 4)
        try inOrder.add(f, labels: labels)
        var byClass = RandomFeatureRidge(width: 8, classCount: 3, hidden: 20, seed: 4)
        for label in [2, 0, 1] {
            for row in labels.indices where labels[row] == label {
                try byClass.add(f.rows(row..<row + 1), labels: [label])
            }
        }
        let expected = try inOrder.head(lambda: 0.5)
        let found = try byClass.head(lambda: 0.5)
        #expect(zip(expected.weight.elements, found.weight.elements).allSatisfy { abs($0 - $1) < 1e-5 })
        // Normal equations: Hᵀ(H W − Y) + λ W = 0.
        let h = inOrder.expanded(f).inDouble
        let w = expected.weight.inDouble.transposed()
        var residual = try multiply(h, w)
        for (row, label) in labels.enumerated() { residual[row, label] -= 1 }
        let gradient = try multiply(h, residual, transposeA: true)
        for index in gradient.elements.indices {
            #expect(abs(gradient.elements[index] + 0.5 * w.elements[index]) < 1e-3)
        }
        let (test, testLabels) = Self.features(200, 8, seed: 8, classes: 3)
        #expect(Self.accuracy(expected, test, testLabels) > 0.9)
    }

    @Test func `the chosen lambda does not overfit`() throws {
        let (f, labels) = Self.features(30, 6, seed: 9, classes: 3)
        let (g, heldLabels) = Self.features(30, 6, seed: 10, classes: 3)
        let ridge = RandomFeatureRidge(width: 6, classCount: 3, hidden: 60)
        let lambda = try ridge.chosenLambda(fit: (f, labels), held: (g, heldLabels))
        #expect(lambda >= 0.1)
    }

    @Test func `equal held-out errors go to the largest lambda`() throws {
        // All features and targets of the held-out samples agree with the fit whatever λ is: zero features score zero.
        let ridge = RandomFeatureRidge(width: 4, classCount: 2, hidden: 30)
        let zeros = Matrix<Float>(rows: 6, columns: 4)
        let (f, labels) = Self.features(40, 4, seed: 12, classes: 2)
        #expect(try ridge.chosenLambda(fit: (f, labels), held: (zeros, [0, 1, 0, 1, 0, 1])) == 1e8)
    }

    @Test func `no chosen lambda lies below the rounding of the features`() throws {
        // Noiseless targets of huge features: the error falls with λ all the way down.
        let ridge = RandomFeatureRidge(width: 3, classCount: 2, hidden: 0)
        let (small, labels) = Self.features(60, 3, seed: 13, classes: 2)
        let huge = small.scaled(by: 1e6)
        var sums = ridge
        try sums.add(huge, labels: labels)
        let trace = huge.inDouble.elements.reduce(0) { $0 + $1 * $1 }
        #expect(abs(sums.smallestLambda / trace * 8_388_608 - 1) < 1e-6)
        #expect(try ridge.chosenLambda(fit: (huge, labels), held: (huge, labels)) >= sums.smallestLambda)
    }

    @Test func `a discriminant knows the Gaussian Bayes rule`() throws {
        let (f, labels) = Self.features(4000, 3, seed: 11, classes: 3)
        var model = LinearDiscriminant(width: 3, classCount: 4)
        try model.add(f, labels: labels)
        let head = try model.head(shrinkage: 0)
        // Unit covariance and means 3·e_c give the weights 3·e_c and the bias −9/2 + log(1/3).
        for label in 0..<3 {
            for column in 0..<3 { #expect(abs(head.weight[label, column] - (label == column ? 3 : 0)) < 0.35) }
            #expect(abs(head.bias[label] - (-4.5 - 1.0986)) < 0.6)
        }
        #expect(head.bias[3] == -.infinity)
        #expect(Self.accuracy(head, f, labels) > 0.95)
        #expect(throws: (any Error).self) { try LinearDiscriminant(width: 3, classCount: 2).head() }
    }
}
