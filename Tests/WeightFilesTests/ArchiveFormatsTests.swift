import Diagnostics
import Digests
import Foundation
import Testing

@testable import WeightFiles

/// The same two members in containers that Python 3.11 and zstd 1.5.4 wrote.
@Suite struct ArchiveFormatsTests {
    static let files: [(name: String, base64: String)] = [
        (
            "PAX tar, bzip2",
            """
            QlpoOTFBWSZTWXj7A50AAKVflcuQUAH/0sBAWABmUd5KACAIAAGACQgwALlCJMmQAANAGgBoGhjIZDQaDRoA0ADQwbUknqYCAHqA\
            AaA0wl/Wrz7xp7DKf65JFsqSQtcIRTjqWZD5myDlhASYRS5QaSu+GCrlZtkZlsVBlYCQZAVVKIDgYyiulGq1chqAwAhwbAZrzMYo\
            5OCNHAERR9UpEgXiUACSvSkst6RkzGZxbcZ1GYiOZXE0VCrOcqQ11+qD2SSTH8XckU4UJB4+wOdA
            """
        ),
        (
            "PAX tar, xz",
            """
            /Td6WFoAAATm1rRGAgAhARYAAAB0L+Wj4Cf/ALddADCZCEl4EShFOmuQWR4/xQT6KHLz0mfGwqPGATHf44IjiR3tAGdWNcV43wfb\
            Bvu4LPcGYie4iBzXuRAwYbEUZc32bUPfWu0iOsfX2NVLJAqxthUTy51km3sQvW0cXvKcpqHQymtWJOvwUps5xx/VIiUooODhX0hc\
            HeXjRP7Qo7RiDm9WSeiHlUdrfk9D09CuoG20lezBlpfloerHEYtkSIVT7EJ7rHAj/jtVbcgvgBbSf1i2iJXPgAAAksMZp6LkosoA\
            AdMBgFAAAGcLeuuxxGf7AgAAAAAEWVo=
            """
        ),
        (
            "PAX tar, zstd",
            """
            KLUv/WQAJ/UEAIJGFx2QOwf/q7vbv4CX01MJQzp0Nii4skFNSFr/XRtXClWusIN879oNAbp2s66jaY6YACt7fBDu6WR4KpWXxDXX\
            XhVGQAPqu6fc0vRlH2Tct9/LfYzE/oEkp7GjsyNmOBggYEk5BR4ciB7sySdVIE91x6rDCJED2Kn2/wXmpsyCXw4WtQY4D4sUsEtO\
            tb4a55QE0oSOmDnhoAArE68Daqmlqg==
            """
        ),
        (
            "GNU tar, xz",
            """
            /Td6WFoAAATm1rRGAgAhARYAAAB0L+Wj4Cf/AH9dADCZCEl4EShFOmuQWR4/xQT6KHLz0mfGwqPGATHf44IjiR3s/db4rsAZ5OtH\
            /+y0SyHXmyqq0307ihz9t2OnSPcyJhK7R1WWZiQSPrR4lF7G9lclucPeviPvkQq6VT98Uhl/DFyg7o458AbJMt4N8qspArl8BrDI\
            dX6WIP4bpwAAAO+No2lz0Wv5AAGbAYBQAABmg3EIscRn+wIAAAAABFla
            """
        ),
        (
            "zip with sizes behind the content",
            """
            UEsDBBQACAAIAAAAIQAAAAAAAAAAAAAAAAAOAAAAYWRhcHRlci9hLmpzb26rVipSsrKoBQBQSwcItPqZoAkAAAAHAAAAUEsDBBQA\
            CAgIAAAAIQAAAAAAAAAAAAAAAAAOAAAAYWRhcHRlci/DqS50eHSrqBgFo2AUDHcAAFBLBwjmyUE7CwAAAOgDAABQSwECFAMUAAgA\
            CAAAACEAtPqZoAkAAAAHAAAADgAAAAAAAAAAAAAAgAEAAAAAYWRhcHRlci9hLmpzb25QSwECFAMUAAgICAAAACEA5slBOwsAAADo\
            AwAADgAAAAAAAAAAAAAAgAFFAAAAYWRhcHRlci/DqS50eHRQSwUGAAAAAAIAAgB4AAAAjAAAAAAA
            """
        ),
        (
            "zip with 64-bit sizes",
            """
            UEsDBC0AAAAIAAAAIQC0+pmg//////////8OABQAYWRhcHRlci9hLmpzb24BABAABwAAAAAAAAAJAAAAAAAAAKtWKlKysqgFAFBL\
            AwQtAAAICAAAACEA5slBO///////////DgAUAGFkYXB0ZXIvw6kudHh0AQAQAOgDAAAAAAAACwAAAAAAAACrqBgFo2AUDHcAAFBL\
            AQItAy0AAAAIAAAAIQC0+pmgCQAAAAcAAAAOAAAAAAAAAAAAAACAAQAAAABhZGFwdGVyL2EuanNvblBLAQItAy0AAAgIAAAAIQDm\
            yUE7CwAAAOgDAAAOAAAAAAAAAAAAAACAAUkAAABhZGFwdGVyL8OpLnR4dFBLBQYAAAAAAgACAHgAAACUAAAAAAA=
            """
        ),
    ]

    private static func bytes(_ index: Int) throws -> [UInt8] {
        Array(try #require(Data(base64Encoded: files[index].base64)))
    }

    private static let digests = [
        SHA256Digest.of("{\"r\":8}"), SHA256Digest.of(String(repeating: "x", count: 1000)),
    ]

    @Test(arguments: files.indices)
    func `the two members are read`(index: Int) throws {
        let scratch = try Scratch()
        let listing = try ArchiveReader(path: try scratch.write(ArchiveFormatsTests.bytes(index), as: "x")).list()
        #expect(listing.members.map(\.name) == ["adapter/a.json", "adapter/é.txt"])
        #expect(listing.members.map(\.digest) == ArchiveFormatsTests.digests)
        #expect(listing.findings.isEmpty)
    }

    /// Nothing that is cut off or damaged is taken for something else; what still reads has the same contents.
    @Test(arguments: files.indices)
    func `truncations and flipped bits give no other contents`(index: Int) throws {
        let scratch = try Scratch()
        let good = try ArchiveFormatsTests.bytes(index)
        for count in stride(from: 6, to: good.count, by: 5) {
            let path = try scratch.write(Array(good.prefix(count)), as: "x")
            let found = code { _ = try ArchiveReader(path: path).list() }
            #expect(found?.hasPrefix("archive.") == true, "\(count) bytes: \(found ?? "accepted")")
        }
        for byte in good.indices {
            var bad = good
            bad[byte] ^= 0x20
            let path = try scratch.write(bad, as: "x")
            if let listing = try? ArchiveReader(path: path).list() {
                #expect(listing.members.map(\.digest) == ArchiveFormatsTests.digests, "byte \(byte)")
                #expect(listing.members.map(\.name) == ["adapter/a.json", "adapter/é.txt"], "byte \(byte)")
            }
        }
    }

    @Test func `cpio is read too, and its links are refused`() throws {
        func member(_ name: String, _ data: String, mode: Int = 0o100644) -> [UInt8] {
            func hex(_ value: Int) -> String {
                let digits = String(value, radix: 16)
                return String(repeating: "0", count: 8 - digits.count) + digits
            }
            let numbers = [1, mode, 0, 0, 1, 0, data.utf8.count, 0, 0, 0, 0, name.utf8.count + 1, 0]
            var bytes = Array(("070701" + numbers.map(hex).joined() + name).utf8) + [0]
            while bytes.count % 4 != 0 { bytes.append(0) }
            bytes += Array(data.utf8)
            while bytes.count % 4 != 0 { bytes.append(0) }
            return bytes
        }
        let scratch = try Scratch()
        let good = member("a", "abc") + member("TRAILER!!!", "", mode: 0)
        let listing = try ArchiveReader(path: try scratch.write(good, as: "x.cpio")).list()
        #expect(listing.members.map(\.digest) == [SHA256Digest.of("abc")])
        let link = member("a", "/etc/passwd", mode: 0o120777) + member("TRAILER!!!", "", mode: 0)
        let path = try scratch.write(link, as: "y.cpio")
        #expect(code { _ = try ArchiveReader(path: path).list() } == "path.symlink")
    }

    /// 6,000 damaged archives per seed: no crash, and only codes of these areas.
    @Test(arguments: [21, 22, 23, 24] as [UInt64])
    func `mutations are refused with a code`(seed: UInt64) throws {
        let scratch = try Scratch()
        var random = SeededGenerator(seed: seed)
        let seeds =
            [
                TarBytes.archive([.init("a/b", [1, 2, 3]), .init("c", Array("x".utf8))], end: 1024),
                TarBytes.archive([TarBytes.pax([("path", "long/name")]), .init("s", [1])]),
                ZipBytes.archive([.init("a", [1, 2, 3]), .init("b/c", [4])]),
                GzipBytes.stored(TarBytes.archive([.init("a", [1])])),
            ] + (try ArchiveFormatsTests.files.indices.map(ArchiveFormatsTests.bytes))
        let tokens = ["../", "/etc/", "\u{0}", "PK\u{1}\u{2}", "77777777777", "ustar", "path=", "\\"].map {
            Array($0.utf8)
        }
        for round in 0..<6_000 {
            let bytes = Mutation.apply(seeds[round % seeds.count], tokens: tokens, &random)
            let path = try scratch.write(bytes, as: "x")
            if let found = code({ _ = try ArchiveReader(path: path).list() }) {
                #expect(found.hasPrefix("archive.") || found.hasPrefix("path."), "\(found)")
            }
        }
    }
}
