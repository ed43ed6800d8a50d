import Diagnostics
import Foundation

/// A file mapped read-only into memory. The bytes stay valid as long as the object lives.
public final class MappedFile: @unchecked Sendable {
    public let path: String
    public let bytes: UnsafeRawBufferPointer

    /// Maps the whole file. An empty file gives an empty buffer.
    ///
    /// - Throws: `path.symlink` when the last component is a symbolic link and `followLinks` is false,
    ///   `path.special_file` for anything but a regular file, `io.not_found`, `io.failed`.
    public init(path: String, followLinks: Bool = true) throws {
        self.path = path
        let flags = O_RDONLY | O_NONBLOCK | O_CLOEXEC | (followLinks ? 0 : O_NOFOLLOW)
        let descriptor = open(path, flags)
        guard descriptor >= 0 else { throw MappedFile.openFailure(path: path, error: errno) }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw MappedFile.openFailure(path: path, error: errno) }
        guard status.st_mode & 0o170000 == 0o100000 else {
            throw Failure(.pathSpecialFile, "not a regular file", path: path)
        }
        let size = Int(status.st_size)
        guard size > 0 else {
            bytes = UnsafeRawBufferPointer(start: nil, count: 0)
            return
        }
        guard let base = mmap(nil, size, PROT_READ, MAP_PRIVATE, descriptor, 0), base != MAP_FAILED else {
            throw Failure(.ioFailed, "cannot map the file: \(String(cString: strerror(errno)))", path: path)
        }
        bytes = UnsafeRawBufferPointer(start: base, count: size)
    }

    deinit {
        if let base = bytes.baseAddress { munmap(UnsafeMutableRawPointer(mutating: base), bytes.count) }
    }

    /// Runs `body` on the bytes and keeps the file mapped until it returns: a bare `bytes` of a temporary may outlive
    /// its mapping.
    public func withBytes<Result>(_ body: (UnsafeRawBufferPointer) throws -> Result) rethrows -> Result {
        try withExtendedLifetime(self) { try body(bytes) }
    }

    /// Gives the pages of `range` back to the system; they are read again on the next access.
    public func release(_ range: Range<Int>) {
        guard let base = bytes.baseAddress else { return }
        let page = 4096
        let lower = (max(0, range.lowerBound) + page - 1) / page * page
        let upper = range.upperBound >= bytes.count ? bytes.count : range.upperBound / page * page
        if lower < upper {
            madvise(UnsafeMutableRawPointer(mutating: base + lower), upper - lower, MADV_DONTNEED)
        }
    }

    static func openFailure(path: String, error: Int32) -> Failure {
        switch error {
        case ENOENT, ENOTDIR: Failure(.ioNotFound, "no such file", path: path)
        case ELOOP: Failure(.pathSymlink, "a symbolic link stands where a file is expected", path: path)
        default: Failure(.ioFailed, "cannot open: \(String(cString: strerror(error)))", path: path)
        }
    }
}
