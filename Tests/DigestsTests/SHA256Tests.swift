import Testing

@testable import Digests

/// Known answers of FIPS 180-2 and of the NIST example values.
@Suite struct SHA256Tests {
    @Test(arguments: [
        ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        (
            "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
        ),
    ])
    func `short messages`(text: String, hex: String) {
        #expect(SHA256Digest.of(text).hex == hex)
        #expect(SHA256Digest.of(text).description == hex)
    }

    @Test func `a million letters, in pieces of any length`() {
        var hasher = SHA256Hasher()
        var left = 1_000_000
        var step = 1
        while left > 0 {
            let count = min(step, left)
            hasher.update([UInt8](repeating: UInt8(ascii: "a"), count: count))
            left -= count
            step = step % 4099 + 997
        }
        #expect(hasher.finish().hex == "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0")
    }

    @Test func `the 64-bit prefix is big-endian`() {
        #expect(SHA256Digest.of("abc").prefix64 == 0xBA78_16BF_8F01_CFEA)
    }

    @Test func `finishing twice gives the same value`() {
        var hasher = SHA256Hasher()
        hasher.update("abc")
        #expect(hasher.finish() == hasher.finish())
        hasher.update("d")
        #expect(hasher.finish() == SHA256Digest.of("abcd"))
    }
}
