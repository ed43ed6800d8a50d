import Foundation
import Testing

@testable import Networks

@Suite struct DecoderTests {
    @Test(arguments: Fixture.decoders)
    func `token losses and logits with an adapter`(_ name: String) throws {
        let fixture = try Fixture(name)
        let backbone = try fixture.backbone(Float.self)
        let mix = try AdapterMix([fixture.slot(on: backbone)], on: backbone.description)
        let tokens = try fixture.tokens()
        #expect(relativeError(try backbone.tokenLosses(tokens, mix: mix), try fixture.numbers("loss")) < 1e-5)
        let first = tokens.lengths[0]
        let second = TokenBatch([Array(tokens.ids[first..<first + tokens.lengths[1]])])
        let hidden = try backbone.hiddenStates(.tokens(second), mix: mix)
        let logits = try backbone.logits(Array(hidden.suffix(backbone.description.width)))
        #expect(relativeError(logits, try fixture.numbers("logits")) < 1e-5)
    }

    @Test(arguments: Fixture.decoders)
    func `greedy search finds the reference's tokens`(_ name: String) throws {
        let fixture = try Fixture(name)
        let backbone = try fixture.backbone(Float.self)
        let mix = try AdapterMix([fixture.slot(on: backbone)], on: backbone.description)
        let tokens = try fixture.tokens()
        var options = GenerationOptions()
        options.maxTokens = 8
        let prompt = Array(tokens.ids[..<tokens.lengths[0]])
        let expected = try fixture.integers("greedy")
        #expect(try backbone.generate(prompt, options: options, mix: mix) == expected)
        options.stops = [expected[2]]
        let stop = try #require(expected.firstIndex(of: expected[2]))
        #expect(try backbone.generate(prompt, options: options, mix: mix) == Array(expected[...stop]))
    }

    @Test(arguments: Fixture.decoders)
    func `reading token by token equals reading all at once`(_ name: String) throws {
        let fixture = try Fixture(name)
        let backbone = try fixture.backbone(Float.self)
        let mix = try AdapterMix([fixture.slot(on: backbone)], on: backbone.description)
        let ids = (0..<80).map { (i: Int) -> Int32 in Int32((i * 11 + i * i) % 27 + 1) }
        let whole = try backbone.hiddenStates(.tokens(TokenBatch([ids])), mix: mix).map(Double.init)
        for cuts in [[80], Array(repeating: 1, count: 80), [1, 30, 2, 40, 7]] {
            let decoder = try backbone.makeDecoder()
            var found: [Float] = []
            var start = 0
            for count in cuts {
                found += try backbone.extend(decoder, with: Array(ids[start..<start + count]), mix: mix)
                start += count
            }
            #expect(decoder.position == 80)
            #expect(relativeError(found, whole) < 1e-5, "\(cuts.count) pieces")
        }
    }

    @Test func `samples depend on the seed alone and follow the probabilities`() throws {
        let logits = [0.0, Foundation.log(2.0), Foundation.log(5.0), -30.0]
        var options = GenerationOptions()
        options.temperature = 1
        options.seed = 5
        let drawn = (0..<4000).map { Sampler.choose(logits, options, index: $0) }
        #expect(drawn == (0..<4000).map { Sampler.choose(logits, options, index: $0) })
        for (token, share) in [(Int32(0), 0.125), (1, 0.25), (2, 0.625)] {
            let found = Double(drawn.filter { $0 == token }.count) / 4000
            #expect(abs(found - share) < 0.03)
        }
        options.topK = 2
        #expect(Set((0..<200).map { Sampler.choose(logits, options, index: $0) }) == [1, 2])
        options.topK = nil
        options.topP = 0.6
        #expect(Set((0..<200).map { Sampler.choose(logits, options, index: $0) }) == [2])
        options.temperature = 0
        #expect(Sampler.choose([1, 3, 3], options, index: 0) == 1)
        let backbone = try Fixture("qwen2").backbone(Float.self)
        options = GenerationOptions()
        options.temperature = 1.5
        options.maxTokens = 20
        let one = try backbone.generate([3, 4], options: options)
        #expect(try backbone.generate([3, 4], options: options) == one)
        options.seed = 1
        #expect(try backbone.generate([3, 4], options: options) != one)
    }

    @Test func `an encoder does not generate`() throws {
        let backbone = try Fixture("bert").backbone(Float.self)
        #expect(throws: (any Error).self) { try backbone.generate([3]) }
        #expect(throws: (any Error).self) { try backbone.tokenLosses(TokenBatch([[3, 4]])) }
        #expect(throws: (any Error).self) { try backbone.logits([]) }
    }

    /// Fewer key heads than heads equal as many key heads whose weights repeat.
    @Test func `grouped keys and values equal repeated ones`() throws {
        var noise = Noise(8)
        let (length, heads, width) = (7, 4, 6)
        let grouped = Attention<Float>(heads: heads, keyHeads: 2, headWidth: width, causal: true)
        let full = Attention<Float>(heads: heads, keyHeads: heads, headWidth: width, causal: true)
        let rows: [Float] = noise.numbers(length * grouped.rowWidth)
        var repeated: [Float] = []
        for row in 0..<length {
            let line = Array(rows[row * grouped.rowWidth..<(row + 1) * grouped.rowWidth])
            repeated += line[..<(heads * width)]
            for part in 0..<2 {
                for head in 0..<heads {
                    let first = (heads + part * 2 + head / 2) * width
                    repeated += line[first..<first + width]
                }
            }
        }
        let slope: [Float] = noise.numbers(length * heads * width)
        func run(_ attention: Attention<Float>, _ qkv: [Float]) -> ([Float], [Float]) {
            let scratch = Arena<Float>()
            var c = [Float](repeating: 0, count: length * attention.outputWidth)
            var d = [Float](repeating: 0, count: qkv.count)
            c.withUnsafeMutableBufferPointer { c in
                d.withUnsafeMutableBufferPointer { d in
                    attention.forward(length: length, qkv, into: c.baseAddress!, kept: nil, scratch: scratch)
                    attention.backward(
                        length: length, qkv, dc: slope, kept: nil, dqkv: d.baseAddress!, scratch: scratch)
                }
            }
            return (c, d)
        }
        let (c, d) = run(grouped, rows)
        let (cFull, dFull) = run(full, repeated)
        #expect(c == cFull)
        // Gradients of repeated heads add up.
        for row in 0..<length {
            for part in 0..<2 {
                for head in 0..<2 {
                    for i in 0..<width {
                        let found = d[row * grouped.rowWidth + (heads + part * 2 + head) * width + i]
                        let first = row * full.rowWidth + (heads * (part + 1) + head * 2) * width + i
                        #expect(abs(found - dFull[first] - dFull[first + width]) < 1e-5)
                    }
                }
            }
        }
    }
}
