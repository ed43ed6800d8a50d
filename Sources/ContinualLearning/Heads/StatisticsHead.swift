import Diagnostics
import LinearAlgebra
import Networks
import Tensors

/// What a statistics head is made of.
public struct StatisticsHeadOptions: Sendable, Hashable {
    public enum Kind: String, Sendable, CaseIterable {
        /// Class means of features of unit length; cosine similarity.
        case ncm
        /// Ridge regression on the features.
        case ridge
        /// Ridge regression on random features.
        case ranpac
        /// Class means and a shared covariance with shrinkage.
        case lda
        /// A linear head trained on samples of each class's normal distribution.
        case align
    }

    public enum Drift: String, Sendable, CaseIterable {
        case none
        /// Old statistics are moved by a linear map fitted on the current task.
        case ridge
    }

    public enum Covariance: String, Sendable, CaseIterable { case full, diagonal }

    public var kind: Kind
    public var drift: Drift
    /// λ of the drift's ridge, relative to the mean diagonal entry of FᵀF.
    public var driftStrength = 0.01
    /// Random features of `ranpac`; nil for min(2000, 20·width).
    public var hidden: Int?
    /// λ of `ridge` and `ranpac`, used as it is; nil chooses it per task on a held-out fifth: the largest one within one
    /// standard error of the best (`RandomFeatureRidge.chosenLambda`), and at least ε₃₂·tr(HᵀH) of all tasks so far.
    public var lambda: Double?
    /// Shrinkage of `lda`, 0…1.
    public var shrinkage = 0.1
    /// Form of the class covariances of `align`.
    public var covariance = Covariance.full
    /// Samples drawn per class by `align`.
    public var samplesPerClass = 256
    public var alignEpochs = 5
    /// Temperature of the L2-normalised logits of `align`.
    public var temperature = 0.1
    public var seed: UInt64 = 0

    public init(_ kind: Kind, drift: Drift = .none) {
        self.kind = kind
        self.drift = drift
    }
}

/// A head made of statistics that grow from task to task, without stored samples (cil-engine 11.5).
///
/// ```swift
/// var ncm = StatisticsHead(StatisticsHeadOptions(.ncm), width: 64, classCount: 10)
/// try ncm.learn(task: t, features: after, labels: labels, before: before)
/// let head = try ncm.head()           // classes outside `seen` have to be masked by the caller
/// ```
public struct StatisticsHead: Sendable {
    public let options: StatisticsHeadOptions
    public let width: Int
    public let classCount: Int
    /// By task: mean cosine between the features before and after; nil without `before`.
    public private(set) var driftCosines: [Double?] = []
    /// λ of `ridge` and `ranpac` as last chosen.
    public private(set) var lambda: Double
    private var statistics: ClassStatistics
    private var ridge: RandomFeatureRidge?

    public init(_ options: StatisticsHeadOptions, width: Int, classCount: Int) {
        self.options = options
        self.width = width
        self.classCount = classCount
        lambda = options.lambda ?? 1
        statistics = ClassStatistics(
            width: width, classCount: classCount, keepsCovariances: options.kind == .align)
        switch options.kind {
        case .ridge:
            ridge = RandomFeatureRidge(width: width, classCount: classCount, hidden: 0, seed: options.seed)
        case .ranpac:
            ridge = RandomFeatureRidge(width: width, classCount: classCount, hidden: options.hidden, seed: options.seed)
        case .ncm, .lda, .align: ridge = nil
        }
    }

    /// Classes that were learned so far.
    public var learned: [Int] { statistics.counts.indices.filter { statistics.counts[$0] > 0 } }

    /// Adds one task.
    ///
    /// - Parameters:
    ///   - features: [samples, width] of the task's train data by the consolidated model.
    ///   - labels: class ids.
    ///   - before: features of the same samples by the model before the task; needed for `drift: ridge`.
    /// - Throws: `data.too_few` without samples, `numeric.no_convergence`, `merge.non_finite`.
    public mutating func learn(
        task: Int, features: Matrix<Float>, labels: [Int], before: Matrix<Float>? = nil
    ) throws {
        guard features.rows > 0, features.rows == labels.count else {
            throw Failure(
                .dataTooFew, "a statistics head needs one label for each of at least one sample",
                place: "\(options.kind.rawValue) head")
        }
        let input = rows(features)
        if let before {
            let drift = try FeatureDrift(before: rows(before), after: input, strength: options.driftStrength)
            driftCosines.append(drift.meanCosine)
            if options.drift == .ridge, !learned.isEmpty { try statistics.move(drift) }
        } else {
            driftCosines.append(nil)
        }
        try statistics.add(input, labels: labels)
        guard var model = ridge else { return }
        try model.add(input, labels: labels)
        // The sums over all tasks need more than those of one task, on which λ was chosen.
        if options.lambda == nil { lambda = max(try chosen(model, input, labels, task: task), model.smallestLambda) }
        ridge = model
    }

    /// The head over all classes. Scores of classes that were never learned mean nothing: mask them.
    ///
    /// - Throws: `numeric.no_convergence`.
    public func head() throws -> any ClassHead {
        switch options.kind {
        case .ncm: return LinearHead.cosine(statistics.means.inFloat, scale: 1)
        case .lda:
            return try LinearDiscriminant.head(
                counts: statistics.counts, means: statistics.means, scatter: statistics.scatter,
                shrinkage: options.shrinkage)
        case .align: return try ClassifierAlignment(options, statistics).head()
        case .ridge, .ranpac:
            guard let ridge else { return LinearHead(weight: Matrix(rows: classCount, columns: width)) }
            return try ridge.head(lambda: lambda)
        }
    }

    private func rows(_ features: Matrix<Float>) -> Matrix<Float> {
        options.kind == .ncm ? FeatureRows.unitLength(features) : features
    }

    /// λ by squared error on a fifth of the task, solved on the other four fifths alone.
    private func chosen(
        _ model: RandomFeatureRidge, _ features: Matrix<Float>, _ labels: [Int], task: Int
    ) throws -> Double {
        let random = CounterRandom(seed: options.seed, stream: "ridge-split", "\(task)")
        let order = labels.indices.sorted { (random.word(UInt64($0)), $0) < (random.word(UInt64($1)), $1) }
        let held = labels.count / 5
        guard held > 0 else { return lambda }
        func part(_ rows: some Sequence<Int>) -> (features: Matrix<Float>, labels: [Int]) {
            let rows = Array(rows)
            var matrix = Matrix<Float>(rows: rows.count, columns: width)
            for (place, row) in rows.enumerated() {
                for column in 0..<width { matrix[place, column] = features[row, column] }
            }
            return (matrix, rows.map { labels[$0] })
        }
        return try model.chosenLambda(fit: part(order.dropFirst(held)), held: part(order.prefix(held)))
    }

    // MARK: Storage

    /// Everything that has to be stored in a checkpoint, by name.
    public var state: [String: Matrix<Double>] {
        var state = statistics.state
        if let ridge {
            state["gram"] = ridge.gram
            state["cross"] = ridge.cross
        }
        state["lambda"] = Matrix(rows: 1, columns: 1, elements: [lambda])
        // A task without a cosine is stored as 2, which no cosine is.
        state["drift"] = Matrix(rows: 1, columns: driftCosines.count, elements: driftCosines.map { $0 ?? 2 })
        return state
    }

    /// Puts back what `state` gave.
    ///
    /// - Throws: `data.malformed` for a matrix that is missing, one that is not known, or a wrong shape.
    public mutating func restore(_ state: [String: Matrix<Double>]) throws {
        try statistics.restore(state)
        if var model = ridge {
            try model.restore(
                gram: StoredMatrix.named("gram", in: state, rows: model.gram.rows, columns: model.gram.columns),
                cross: StoredMatrix.named("cross", in: state, rows: model.cross.rows, columns: model.cross.columns))
            ridge = model
        }
        lambda = try StoredMatrix.named("lambda", in: state, rows: 1, columns: 1).elements[0]
        driftCosines = try StoredMatrix.named("drift", in: state, rows: 1).elements.map { $0 > 1.5 ? nil : $0 }
        if let stray = Set(state.keys).subtracting(self.state.keys).min() {
            throw Failure(.dataMalformed, "the head has no matrix '\(stray)'", place: stray)
        }
    }
}

/// Strict look-ups in stored matrices.
enum StoredMatrix {
    static func named(
        _ name: String, in state: [String: Matrix<Double>], rows: Int, columns: Int? = nil
    ) throws -> Matrix<Double> {
        guard let matrix = state[name] else {
            throw Failure(.dataMalformed, "the stored head lacks the matrix '\(name)'", place: name)
        }
        guard matrix.rows == rows, matrix.columns == columns ?? matrix.columns else {
            throw Failure(
                .dataMalformed, "the stored matrix '\(name)' is \(matrix.rows)×\(matrix.columns)", place: name,
                details: ["expected": "\(rows)×\(columns ?? matrix.columns)"])
        }
        return matrix
    }
}
