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

    /// Two groups of single-precision numbers of a length that is no multiple of a vector's.
    private final class Room {
        let values = UnsafeMutableBufferPointer<Float>.allocate(capacity: 37)
        let slopes = UnsafeMutableBufferPointer<Float>.allocate(capacity: 37)

        init() {
            for i in 0..<37 {
                values.initializeElement(at: i, to: Float(i) * 0.1 - 1)
                slopes.initializeElement(at: i, to: Float(i % 5) - 2)
            }
        }

        deinit {
            values.deallocate()
            slopes.deallocate()
        }

        /// Places 0…28 and 29…36.
        var groups: [ParameterGroup<Float>] {
            [0..<29, 29..<37].map {
                ParameterGroup(
                    name: "\($0)", values: UnsafeMutableBufferPointer(rebasing: values[$0]),
                    gradient: UnsafeMutableBufferPointer(rebasing: slopes[$0]), weightDecay: 0.1)
            }
        }

        var whole: [ParameterGroup<Float>] {
            [ParameterGroup(name: "all", values: values, gradient: slopes, weightDecay: 0.1)]
        }
    }

    @Test(arguments: OptimizerKind.allCases)
    func `a parameter's path does not depend on where it stands`(kind: OptimizerKind) {
        let (split, whole) = (Room(), Room())
        let (first, second) = (Optimizer(kind, groups: split.groups), Optimizer(kind, groups: whole.whole))
        for _ in 0..<5 {
            first.step(learningRate: 0.01)
            second.step(learningRate: 0.01)
        }
        #expect(Array(split.values) == Array(whole.values))
    }

    @Test(arguments: OptimizerKind.allCases)
    func `restored moments go on bit for bit; a state of another shape changes nothing`(kind: OptimizerKind) {
        let (straight, broken) = (Room(), Room())
        let first = Optimizer(kind, groups: straight.groups)
        for _ in 0..<6 { first.step(learningRate: 0.01) }
        let early = Optimizer(kind, groups: broken.groups)
        for _ in 0..<3 { early.step(learningRate: 0.01) }
        let late = Optimizer(kind, groups: broken.groups)
        #expect(late.restore(early.state))
        for _ in 0..<3 { late.step(learningRate: 0.01) }
        #expect(Array(straight.values) == Array(broken.values))
        #expect(late.state == first.state)
        #expect(!late.restore(Optimizer(kind, groups: Room().whole).state))
        #expect(late.state == first.state)
    }

    @Test func `groups that are not chosen keep numbers, moments and counts`() {
        let room = Room()
        let optimizer = Optimizer(.adamw, groups: room.groups)
        optimizer.step(learningRate: 0.01)
        let (state, before) = (optimizer.state, Array(room.values))
        optimizer.step(learningRate: 0.01, only: [0])
        #expect(Array(room.values[29...]) == Array(before[29...]))
        #expect(Array(room.values[..<29]) != Array(before[..<29]))
        #expect(optimizer.steps == [2, 1])
        #expect(optimizer.state.first[1] == state.first[1] && optimizer.state.second[1] == state.second[1])
    }

    @Test func `cleared moments and reset groups begin again`() {
        let room = Room()
        let optimizer = Optimizer(.adamw, groups: room.groups)
        optimizer.step(learningRate: 0.01)
        optimizer.clearMoments(group: 0, at: [3])
        #expect(optimizer.state.first[0][3] == 0 && optimizer.state.second[0][3] == 0)
        #expect(optimizer.state.first[0][4] != 0)
        optimizer.reset(group: 1)
        #expect(optimizer.steps == [1, 0])
        #expect(optimizer.state.first[1].allSatisfy { $0 == 0 })
    }

    private func powered(_ base: Double, _ exponent: Int) -> Double { (0..<exponent).reduce(1) { x, _ in x * base } }
}
