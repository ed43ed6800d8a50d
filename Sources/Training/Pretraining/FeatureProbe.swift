import Diagnostics
import Networks
import Tensors

/// How much of a data set simple heads read off a backbone's features: fitted on its training split, measured once on
/// its test split.
public struct FeatureProbe: Sendable, Hashable {
    /// Share of test samples that the nearest class mean (cosine) gets right.
    public var nearestMean: Double
    /// The same for multinomial logistic regression.
    public var linear: Double
    public var trainCount: Int
    public var testCount: Int

    /// - Parameter side: pixels per side of the images that the backbone reads.
    /// - Throws: what reading the data throws; `backbone.bad_input` when they are not images of that size.
    public static func measure(_ backbone: Backbone<Float>, feature: Pooling, data: Dataset, threads: Int?) throws
        -> FeatureProbe
    {
        let train = try data.train().samples
        let test = try data.test().read(for: "probe of a pre-trained backbone")
        let scale = 1 / Float(data.description.valueRange.upperBound)
        let trainFeatures = try features(backbone, feature, train, scale, threads)
        let testFeatures = try features(backbone, feature, test, scale, threads)
        let classes = data.classNames.count
        var means = NearestMean(width: backbone.description.width, classCount: classes)
        means.add(trainFeatures, labels: train.labels)
        let linear = LogisticFit.fit(trainFeatures, labels: train.labels, classes: classes)
        return FeatureProbe(
            nearestMean: accuracy(means.head(), testFeatures, test.labels),
            linear: accuracy(linear, testFeatures, test.labels), trainCount: train.count, testCount: test.count)
    }

    private static func features(
        _ backbone: Backbone<Float>, _ feature: Pooling, _ samples: LabelledSamples, _ scale: Float, _ threads: Int?
    ) throws -> Matrix<Float> {
        guard case .images(let set) = samples.store else {
            throw Failure(.backboneBadInput, "the backbone reads images, the data are texts")
        }
        let pixels = set.pixels.map { Float($0) * scale }
        let values = try backbone.features(.images(pixels), pooling: feature, threads: threads)
        guard values.count == samples.count * backbone.description.width else {
            throw Failure(
                .backboneBadInput,
                "the images are \(set.shape.channels)×\(set.shape.height)×\(set.shape.width), the backbone reads others"
            )
        }
        return Matrix(rows: samples.count, columns: backbone.description.width, elements: values)
    }

    static func accuracy(_ head: some ClassHead, _ features: Matrix<Float>, _ labels: [Int]) -> Double {
        let scores = head.logits(features)
        var hits = 0
        for (row, label) in labels.enumerated() {
            var best = 0
            for c in 1..<scores.columns where scores[row, c] > scores[row, best] { best = c }
            if best == label { hits += 1 }
        }
        return labels.isEmpty ? 0 : Double(hits) / Double(labels.count)
    }
}

/// Multinomial logistic regression on given features.
enum LogisticFit {
    /// 300 full-batch steps of AdamW, learning rate 0.05 falling along a cosine, on features scaled to unit length
    /// times √width.
    static func fit(_ features: Matrix<Float>, labels: [Int], classes: Int) -> LinearHead {
        let width = features.columns
        let factor = Float(width).squareRoot()
        var rows = FeatureRows.unitLength(features).elements
        for i in rows.indices { rows[i] *= factor }
        let head = TrainableHead(.linear, width: width, classes: classes, seed: 1)
        let optimizer = Optimizer(
            .adamw,
            groups: [ParameterGroup(name: "head", values: head.values, gradient: head.gradient, weightDecay: 1e-3)])
        let schedule = LearningRateSchedule(.cosine, base: 0.05, totalSteps: 300)
        var room = [Float](repeating: 0, count: rows.count)
        var losses = [Float](repeating: 0, count: labels.count)
        for step in 0..<300 {
            head.prepare()
            rows.withUnsafeBufferPointer { x in
                room.withUnsafeMutableBufferPointer { dx in
                    losses.withUnsafeMutableBufferPointer { losses in
                        labels.withUnsafeBufferPointer { labels in
                            guard let x = x.baseAddress, let dx = dx.baseAddress, let l = labels.baseAddress,
                                let losses = losses.baseAddress
                            else { return }
                            _ = head.learn(
                                labels.count, features: x, labels: l, mask: nil, scale: 1 / Float(labels.count),
                                featureGradient: dx, losses: losses, accumulator: 0)
                        }
                    }
                }
            }
            head.reduce()
            optimizer.step(learningRate: schedule.rate(at: step))
        }
        head.prepare()
        return LinearHead(weight: head.head.weight, bias: head.head.bias, scale: 1, normalizesFeatures: true)
            .scaled(features: factor)
    }
}

extension LinearHead {
    /// The head for features that are scaled to unit length and not multiplied by `factor`.
    fileprivate func scaled(features factor: Float) -> LinearHead {
        var copy = self
        for i in copy.weight.elements.indices { copy.weight.elements[i] *= factor }
        return copy
    }
}
