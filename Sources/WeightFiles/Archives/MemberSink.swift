import Diagnostics
import Digests
import Foundation

/// Hashes one member, and writes it to a file when the caller wants it.
struct MemberSink {
    let path: String?
    private let descriptor: Int32
    private var hasher = SHA256Hasher()
    private(set) var size = 0

    /// - Parameters:
    ///   - name: the program's own name for the file in `folder`; nil to hash only.
    /// - Throws: `path.bad_name` for a name with a folder in it, `output.exists`, `io.*`.
    init(folder: String, name: String?) throws {
        guard let name else {
            path = nil
            descriptor = -1
            return
        }
        guard !name.isEmpty, name != ".", name != "..", !name.utf8.contains(UInt8(ascii: "/")), !name.utf8.contains(0)
        else { throw Failure(.pathBadName, "not a plain file name", path: folder, place: name) }
        let path = folder + "/" + name
        descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw SystemError.failure("create the file", path: path) }
        FaultPoint.pass("open")
        self.path = path
    }

    mutating func write(_ bytes: UnsafeRawBufferPointer) throws {
        hasher.update(bytes)
        size += bytes.count
        guard let path, let base = bytes.baseAddress else { return }
        var done = 0
        while done < bytes.count {
            let fails = FaultPoint.failsWrite()
            let count = fails ? -1 : Foundation.write(descriptor, base + done, bytes.count - done)
            if count < 0, !fails, errno == EINTR { continue }
            guard count > 0 else {
                throw SystemError.failure("write", path: path, error: fails ? ENOSPC : errno, needed: size)
            }
            FaultPoint.pass("write")
            done += count
        }
    }

    /// Ends the file and gives the digest of what was written.
    func finish() -> SHA256Digest {
        close()
        return hasher.finish()
    }

    func close() {
        if descriptor >= 0 { Foundation.close(descriptor) }
    }
}
