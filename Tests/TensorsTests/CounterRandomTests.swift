import Tensors
import Testing

@Suite struct CounterRandomTests {
    /// Known answers of philox4x32 with 10 rounds from the Random123 distribution.
    @Test(
        arguments: [
            ([0, 0, 0, 0], [0, 0], [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]),
            (
                [0xffff_ffff, 0xffff_ffff, 0xffff_ffff, 0xffff_ffff], [0xffff_ffff, 0xffff_ffff],
                [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]
            ),
            (
                [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344], [0xa409_3822, 0x299f_31d0],
                [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]
            ),
        ] as [([UInt32], [UInt32], [UInt32])])
    func knownAnswers(_ counter: [UInt32], _ key: [UInt32], _ expected: [UInt32]) {
        let found = CounterRandom.philox4x32(
            counter: SIMD4(counter[0], counter[1], counter[2], counter[3]), key: SIMD2(key[0], key[1]))
        #expect([found.x, found.y, found.z, found.w] == expected)
        // The same numbers through seed, stream and position.
        let random = CounterRandom(
            seed: UInt64(key[1]) << 32 | UInt64(key[0]), stream: UInt64(counter[1]) << 32 | UInt64(counter[0]))
        let block = UInt64(counter[3]) << 32 | UInt64(counter[2])
        if block < 1 << 62 { #expect((0..<4).map { random.word(4 * block + $0) } == expected) }
    }

    @Test(arguments: [0, 1, 3, 4, 31, (1 << 34) - 9, (1 << 34) + 2] as [UInt64])
    func bulkFillEqualsSingleDraws(_ start: UInt64) {
        let random = CounterRandom(seed: 0x1234_5678_9abc_def0, stream: "dare", "adapter", "layer.0")
        for count in [0, 1, 5, 32, 33, 200] {
            var words = [UInt32](repeating: 0, count: count)
            words.withUnsafeMutableBufferPointer { random.fillWords(from: start, into: $0) }
            #expect(words == (0..<count).map { random.word(start + UInt64($0)) })
            var uniforms = [Float](repeating: 0, count: count)
            uniforms.withUnsafeMutableBufferPointer { random.fillUniforms(from: start, into: $0) }
            #expect(uniforms == words.map { Float($0 >> 8) * 0x1p-24 })
        }
    }

    @Test func normalsDoNotDependOnTheRangeAskedFor() {
        let random = CounterRandom(seed: 5, stream: 6)
        var whole = [Float](repeating: 0, count: 3000)
        whole.withUnsafeMutableBufferPointer { random.fillNormals(from: 0, into: $0) }
        for range in [0..<1, 1..<2, 7..<1500, 1023..<1025, 999..<3000] {
            var part = [Float](repeating: 0, count: range.count)
            part.withUnsafeMutableBufferPointer { random.fillNormals(from: UInt64(range.lowerBound), into: $0) }
            #expect(part == Array(whole[range]))
        }
    }

    @Test func distributionsHaveTheRightMoments() {
        let random = CounterRandom(seed: 42, stream: "moments")
        let n = 40000
        var values = [Float](repeating: 0, count: n)
        values.withUnsafeMutableBufferPointer { random.fillUniforms(from: 0, into: $0) }
        let mean = values.reduce(0.0) { $0 + Double($1) } / Double(n)
        #expect(abs(mean - 0.5) < 5 * (1.0 / 12).squareRoot() / Double(n).squareRoot())
        #expect(values.allSatisfy { $0 >= 0 && $0 < 1 })
        values.withUnsafeMutableBufferPointer { random.fillNormals(from: 0, into: $0) }
        let moments = (1...4).map { power in
            values.reduce(0.0) { sum, x in sum + (0..<power).reduce(1.0) { p, _ in p * Double(x) } } / Double(n)
        }
        #expect(abs(moments[0]) < 0.03 && abs(moments[1] - 1) < 0.04)
        #expect(abs(moments[2]) < 0.1 && abs(moments[3] - 3) < 0.3)
    }

    @Test func seedsAndStreamsGiveOtherNumbers() {
        let words = [
            CounterRandom(seed: 1, stream: "a"), CounterRandom(seed: 2, stream: "a"),
            CounterRandom(seed: 1, stream: "b"),
            CounterRandom(seed: 1 << 40, stream: "a"),
        ].map { $0.word(0) }
        #expect(Set(words).count == words.count)
    }

    /// Known answers of xxHash64 with seed 0.
    @Test(
        arguments: [
            ("", 0xef46_db37_51d8_e999), ("a", 0xd24e_c4f1_a98c_6e5b), ("abc", 0x44bc_2cf5_ad77_0999),
            ("Nobody inspects the spammish repetition", 0xfbce_a83c_8a37_8bf1),
        ] as [(String, UInt64)])
    func streamHash(_ text: String, _ expected: UInt64) {
        #expect(StreamHash.hash64([text]) == expected)
    }

    @Test func partsOfAStreamNameDoNotRunTogether() {
        #expect(StreamHash.hash64(["ab", "c"]) != StreamHash.hash64(["a", "bc"]))
    }
}
