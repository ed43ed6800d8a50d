import Diagnostics
import Foundation

/// A name inside an archive after all checks: relative, `/` between parts, no `.` and no empty parts.
struct MemberName {
    /// Empty for the root folder itself (`./`).
    let components: [String]

    var text: String { components.joined(separator: "/") }

    /// Applies the rules about characters, position and length, in this order.
    ///
    /// - Parameter bytes: the name as it stands in the archive; nil when it could not be read as text at all.
    init(_ bytes: [UInt8]?, limits: ArchiveLimits, path: String) throws {
        guard let bytes, !bytes.isEmpty else {
            throw Failure(.pathBadName, "a member has an empty or unreadable name", path: path)
        }
        // Length first where a huge name would make every further step, and the message, expensive.
        let shown = String(decoding: bytes.prefix(limits.nameBytes), as: UTF8.self)
        func refusal(_ code: ErrorCode, _ message: String) -> Failure {
            Failure(code, message, path: path, place: shown, hint: "do not use this archive: repack it from the files")
        }
        guard bytes.withUnsafeBytes({ UTF8Check.firstInvalidOffset($0) }) == nil else {
            throw refusal(.pathBadName, "the name is not UTF-8")
        }
        let name = String(decoding: bytes, as: UTF8.self)
        guard !name.unicodeScalars.contains(where: MemberName.isForbidden) else {
            throw refusal(.pathBadName, "the name holds a backslash or a control character")
        }
        guard !MemberName.hasDriveLetter(bytes) else { throw refusal(.pathBadName, "the name begins with a drive") }
        guard bytes[0] != UInt8(ascii: "/") else { throw refusal(.pathAbsolute, "the name begins at the root") }
        let parts = bytes.split(separator: UInt8(ascii: "/")).filter { $0 != [UInt8(ascii: ".")] }
        guard !parts.contains([UInt8(ascii: "."), UInt8(ascii: ".")]) else {
            throw refusal(.pathDotdot, "the name leads out of its folder")
        }
        guard bytes.count <= limits.nameBytes, parts.count <= limits.nameComponents,
            parts.allSatisfy({ $0.count <= limits.componentBytes })
        else { throw refusal(.pathTooLong, "the name has \(bytes.count) bytes in \(parts.count) parts") }
        components = parts.map { String(decoding: $0, as: UTF8.self) }
    }

    private static func isForbidden(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.properties.generalCategory {
        case .control, .lineSeparator, .paragraphSeparator: true
        default: scalar == "\\"
        }
    }

    private static func hasDriveLetter(_ bytes: [UInt8]) -> Bool {
        guard bytes.count >= 2, bytes[1] == UInt8(ascii: ":") else { return false }
        return (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(bytes[0] | 0x20)
    }
}

/// Every name of an archive, so that none occurs twice on any file system: names are compared after Unicode
/// normalisation (NFC) and case folding, part by part.
struct MemberNameRegistry {
    private struct Key: Hashable {
        var parent: Int32
        /// Normalised and folded.
        var part: String
    }

    private struct Node {
        var number: Int32
        /// Normalised, not folded.
        var spelling: String
        var isFile: Bool
        /// Named by a member itself, not only as the folder of another.
        var isListed: Bool
    }

    private var nodes: [Key: Node] = [:]

    /// Enters a member.
    ///
    /// - Throws: `path.duplicate` for a second member of the same name or a file that is also a folder,
    ///   `path.case_collision` when only case tells two names apart.
    mutating func insert(_ name: MemberName, isFile: Bool, path: String) throws {
        var parent: Int32 = 0
        for (depth, component) in name.components.enumerated() {
            let isLast = depth == name.components.count - 1
            let spelling = component.precomposedStringWithCanonicalMapping
            let key = Key(parent: parent, part: MemberNameRegistry.folded(spelling))
            guard var node = nodes[key] else {
                let number = Int32(nodes.count + 1)
                nodes[key] = Node(number: number, spelling: spelling, isFile: isLast && isFile, isListed: isLast)
                parent = number
                continue
            }
            guard node.spelling.utf8.elementsEqual(spelling.utf8) else {
                throw Failure(
                    .pathCaseCollision, "the name differs from '\(node.spelling)' only in case", path: path,
                    place: name.text)
            }
            guard !(node.isFile || (isLast && (isFile || node.isListed))) else {
                throw Failure(.pathDuplicate, "the name occurs twice", path: path, place: name.text)
            }
            if isLast {
                node.isListed = true
                nodes[key] = node
            }
            parent = node.number
        }
    }

    /// Upper-casing first also folds letters with several lower-case forms (ſ, ς) and expands ß.
    private static func folded(_ text: String) -> String {
        text.uppercased().lowercased().precomposedStringWithCanonicalMapping
    }
}
