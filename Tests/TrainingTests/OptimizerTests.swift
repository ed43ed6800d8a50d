import Networks
import Testing
import Training

@Suite struct OptimizerTests {
    private func run(_ kind: OptimizerKind, steps: Int, decay: Double, gradient: (Double) -> Double) -> Double {
        let value = UnsafeMutableBufferPointer<Double>.allocate(capacity: 1)
        let slope = UnsafeMutableBufferPointer<Double>.allocate(capacity: 1)
        defer {
            value.deallocate()
            slope.deallocate()
        }
        value.initialize(repeating: 1)
        slope.initialize(repeating: 0)
        let group = ParameterGroup(name: "x", values: value, gradient: slope, multiplier: 0.5, weightDecay: decay)
        let optimizer = Optimizer(kind, groups: [group])
        for _ in 0..<steps {
            slope[0] = gradient(value[0])
            optimizer.step(learningRate: 0.1)
        }
        return value[0]
    }

    @Test func `adamw follows its formula`() {
        var (x, m, v) = (1.0, 0.0, 0.0)
        for t in 1...7 {
            let g = 3 * x
            m = 0.9 * m + 0.1 * g
            v = 0.999 * v + 0.001 * g * g
            let (mHat, vHat) = (m / (1 - powered(0.9, t)), v / (1 - powered(0.999, t)))
            x -= 0.05 * (mHat / (vHat.squareRoot() + 1e-8) + 0.2 * x)
        }
        #expect(abs(run(.adamw, steps: 7, decay: 0.2) { 3 * $0 } - x) < 1e-12)
    }

    @Test func `sgd follows its formula`() {
        var (x, v) = (1.0, 0.0)
        for _ in 0..<7 {
            v = 0.9 * v + 3 * x + 0.2 * x
            x -= 0.05 * v
        }
        #expect(abs(run(.sgd, steps: 7, decay: 0.2) { 3 * $0 } - x) < 1e-12)
    }

    @Test func `schedules warm up and end where they should`() {
        let schedule = LearningRateSchedule(.cosine, base: 1, minimum: 0.1, warmupSteps: 4, totalSteps: 104)
        #expect(schedule.rate(at: 0) == 0.25)
        #expect(schedule.rate(at: 4) == 1)
        #expect(abs(schedule.rate(at: 54) - 0.55) < 1e-12)
        #expect(abs(schedule.rate(at: 104) - 0.1) < 1e-12)
        #expect(LearningRateSchedule(.linear, base: 1, totalSteps: 10).rate(at: 5) == 0.5)
    }

    private func powered(_ base: Double, _ exponent: Int) -> Double { (0..<exponent).reduce(1) { x, _ in x * base } }
}
