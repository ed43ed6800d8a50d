import Digests
import Tensors

extension Adapter {
    /// Content identity of the update: the same for the same modules, factors and scales, whatever file, number type
    /// or configuration they came in (`docs/formats.md` 13).
    ///
    /// SHA-256 over these bytes; u64 are little-endian, a text is its length in bytes as u64 and its UTF-8:
    /// 1. text `lorabank.delta/1`, u64 number of modules;
    /// 2. for each module, sorted by the bytes of the name: text name, text kind (`linear`, `convolution`,
    ///    `embedding`), u64 number of dimensions of ΔW and each of them, u64 rank,
    ///    A [rank, dIn] and B [dOut, rank] row-major as little-endian F32, scale as F32;
    /// 3. after a module that has them: text `bias` and its values as F32, text `magnitude` and its values as F32.
    ///
    /// Tensors beside the modules (heads, trained tokens) do not count. Streams through 64 KiB.
    public func deltaID() -> SHA256Digest {
        var digest = DeltaHasher()
        digest.add("lorabank.delta/1")
        digest.add(modules.count)
        for module in modules.sorted(by: { Adapter.namePrecedes($0.name, $1.name) }) {
            digest.add(module.name)
            digest.add(module.kind.rawValue)
            digest.add(module.deltaShape.count)
            for dimension in module.deltaShape { digest.add(dimension) }
            digest.add(module.rank)
            digest.add(module.a)
            digest.add(module.b)
            digest.add(Float(module.scale))
            if let bias = module.bias {
                digest.add("bias")
                digest.add(bias)
            }
            if let magnitude = module.magnitude {
                digest.add("magnitude")
                digest.add(magnitude)
            }
            module.a.releasePages()
            module.b.releasePages()
        }
        return digest.hasher.finish()
    }
}

private struct DeltaHasher {
    private static let tile = 1 << 14

    var hasher = SHA256Hasher()
    private var buffer = [Float](repeating: 0, count: tile)

    mutating func add(_ text: String) {
        add(text.utf8.count)
        hasher.update(text)
    }

    mutating func add(_ number: Int) {
        withUnsafeBytes(of: UInt64(number).littleEndian) { hasher.update($0) }
    }

    mutating func add(_ value: Float) {
        withUnsafeBytes(of: value.bitPattern.littleEndian) { hasher.update($0) }
    }

    /// Little-endian machines only, like everything that maps weight files.
    mutating func add(_ tensor: TensorView) {
        // No reader lets other types through as factors; they would count by their bytes.
        guard tensor.dtype.isWeight, tensor.dtype != .f32 else { return hasher.update(tensor.bytes) }
        for start in stride(from: 0, to: tensor.count, by: DeltaHasher.tile) {
            let range = start..<min(start + DeltaHasher.tile, tensor.count)
            buffer.withUnsafeMutableBufferPointer { buffer in
                let part = UnsafeMutableBufferPointer(rebasing: buffer[..<range.count])
                let size = tensor.dtype.bits / 8
                let source = UnsafeRawBufferPointer(
                    rebasing: tensor.bytes[range.lowerBound * size..<range.upperBound * size])
                guard (try? FloatConversion.widen(source, from: tensor.dtype, into: part)) != nil else { return }
                hasher.update(UnsafeRawBufferPointer(part))
            }
        }
    }
}
