import CArchive
import Diagnostics
import Foundation
import Synchronization

/// A folder that appears complete or not at all.
///
/// It is built under a hidden sibling name; write files below `temporaryPath` by any means, then `commit`. Missing
/// folders above `path` are created. An empty folder at `path` counts as nothing there. What killed processes left
/// behind for the same path is removed.
public final class AtomicFolder: Sendable {
    public let path: String
    /// The folder to fill.
    public let temporaryPath: String
    private let overwrite: Bool
    private let isOpen = Mutex(true)

    /// Creates the temporary folder.
    ///
    /// - Parameter overwrite: whether a folder at `path` may be replaced. Even then only when every file in it has a
    ///   successor of the same name in the new one: nothing else of the user's is ever removed.
    /// - Throws: `output.exists`, `io.*`.
    public init(path: String, overwrite: Bool = false) throws {
        let parts = PathParts(path)
        self.path = parts.folder == "." ? parts.name : (parts.folder == "/" ? "/" : parts.folder + "/") + parts.name
        self.overwrite = overwrite
        if DurableFiles.exists(self.path), !AtomicFolder.isEmptyFolder(self.path), !overwrite {
            throw Failure(.outputExists, "it exists already", path: path, hint: SystemError.overwriteHint)
        }
        try DurableFiles.createFolders(parts.folder)
        AbandonedOutput.remove(for: self.path)
        temporaryPath = try AtomicFolder.create(for: self.path)
        UnfinishedPaths.shared.add(temporaryPath)
        FaultPoint.pass("mkdir")
    }

    /// A folder that somebody else made and filled under `temporaryPath`, on the same disk as `path`.
    init(path: String, overwrite: Bool, adopting temporaryPath: String) {
        self.path = path
        self.overwrite = overwrite
        self.temporaryPath = temporaryPath
    }

    deinit { abandon() }

    private static func create(for path: String) throws -> String {
        while true {
            let temporary = DurableFiles.temporarySibling(of: path)
            guard mkdir(temporary, 0o755) == 0 else { throw SystemError.failure("create the folder", path: path) }
            if FolderClaims.shared.add(temporary) { return temporary }
        }
    }

    /// The path of `name` inside the temporary folder.
    public func file(_ name: String) -> String { temporaryPath + "/" + name }

    /// Synchronises everything inside, renames the folder and synchronises its parent.
    ///
    /// - Throws: `output.exists`, `io.*`. The temporary folder is gone then.
    public func commit() throws {
        do {
            try AtomicFolder.syncTree(temporaryPath)
            if DurableFiles.exists(path), !AtomicFolder.isEmptyFolder(path) {
                try replace()
            } else {
                // `rename` puts a folder in the place of nothing or of an empty folder, and of nothing else.
                try DurableFiles.move(from: temporaryPath, replacing: path)
                isOpen.withLock { $0 = false }
                FolderClaims.shared.move(from: temporaryPath, to: path)
                UnfinishedPaths.shared.remove(temporaryPath)
            }
        } catch {
            abandon()
            throw error
        }
        try DurableFiles.syncFolder(PathParts(path).folder)
    }

    /// Removes the temporary folder. Does nothing after `commit`.
    public func abandon() {
        let wasOpen = isOpen.withLock { isOpen in
            defer { isOpen = false }
            return isOpen
        }
        guard wasOpen else { return }
        try? FileManager.default.removeItem(atPath: temporaryPath)
        FolderClaims.shared.remove(temporaryPath)
        UnfinishedPaths.shared.remove(temporaryPath)
    }

    /// Exchanges old and new in one step; `abandon` then removes the old one, which has the temporary name.
    private func replace() throws {
        guard overwrite else {
            throw Failure(.outputExists, "it exists already", path: path, hint: SystemError.overwriteHint)
        }
        let successors = Set(try AtomicFolder.regularFiles(below: temporaryPath))
        let lost = try AtomicFolder.regularFiles(below: path).filter { !successors.contains($0) }
        guard lost.isEmpty else {
            throw Failure(
                .outputExists, "replacing the folder would remove '\(lost[0])'", path: path,
                hint: "choose another folder, or remove that file yourself")
        }
        let exchange: UInt32 = 2
        guard renameat2(AT_FDCWD, temporaryPath, AT_FDCWD, path, exchange) == 0 else {
            throw SystemError.failure("replace the folder", path: path)
        }
        FaultPoint.pass("rename")
        try DurableFiles.syncFolder(PathParts(path).folder)
        abandon()
    }

    static func isEmptyFolder(_ path: String) -> Bool {
        var status = stat()
        guard lstat(path, &status) == 0, status.st_mode & 0o170000 == 0o040000 else { return false }
        return (try? FileManager.default.contentsOfDirectory(atPath: path).isEmpty) ?? false
    }

    /// Paths relative to `folder` of everything below it that is no folder.
    private static func regularFiles(below folder: String) throws -> [String] {
        var status = stat()
        guard lstat(folder, &status) == 0, status.st_mode & 0o170000 == 0o040000 else {
            throw Failure(.outputExists, "a file stands where the folder should be", path: folder)
        }
        return try children(of: folder).flatMap { child -> [String] in
            guard child.isFolder else { return [child.name] }
            return try regularFiles(below: folder + "/" + child.name).map { child.name + "/" + $0 }
        }
    }

    private static func syncTree(_ folder: String) throws {
        for child in try children(of: folder) {
            let path = folder + "/" + child.name
            try child.isFolder ? syncTree(path) : DurableFiles.syncFile(path)
        }
        try DurableFiles.syncFolder(folder)
    }

    private static func children(of folder: String) throws -> [(name: String, isFolder: Bool)] {
        do {
            return try FileManager.default.contentsOfDirectory(atPath: folder).sorted().map { name in
                var status = stat()
                lstat(folder + "/" + name, &status)
                return (name, status.st_mode & 0o170000 == 0o040000)
            }
        } catch {
            throw Failure(.ioFailed, "cannot list the folder", path: folder)
        }
    }
}
