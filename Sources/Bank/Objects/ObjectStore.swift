import Diagnostics
import Foundation
import Synchronization
import WeightFiles

/// The folder `objects/`: immutable archives named by the SHA-256 of their bytes.
final class ObjectStore: Sendable {
    private let layout: BankLayout
    /// Objects whose digest was recomputed by this process, with what identified the file then.
    private let verified = Mutex<[String: FileIdentity]>([:])

    private struct FileIdentity: Hashable {
        var inode: UInt64
        var size: Int64
        var seconds: Int
        var nanoseconds: Int

        init?(_ path: String) {
            var status = stat()
            guard lstat(path, &status) == 0 else { return nil }
            inode = UInt64(status.st_ino)
            size = Int64(status.st_size)
            seconds = Int(status.st_mtim.tv_sec)
            nanoseconds = Int(status.st_mtim.tv_nsec)
        }
    }

    init(layout: BankLayout) { self.layout = layout }

    func contains(_ object: String) -> Bool { FileCalls.facts(layout.objectFile(object)) != nil }

    /// Opens an object for use. The digest of its bytes is recomputed the first time.
    ///
    /// - Throws: `bank.object_missing`, `bank.object_digest`, `bank.corrupt`.
    func open(_ object: String) throws -> StoredObject {
        let path = layout.objectFile(object)
        let identity = FileIdentity(path)
        let known = verified.withLock { $0[object] }
        if identity == nil || identity != known { try verify(object, at: path) }
        let stored = try StoredObject(path: path)
        verified.withLock { $0[object] = identity }
        return stored
    }

    /// The manifest alone, without recomputing the digest.
    func manifest(of object: String) throws -> ObjectManifest {
        try StoredObject(path: layout.objectFile(object)).manifest
    }

    /// - Throws: `bank.object_missing`, `bank.object_digest`.
    private func verify(_ object: String, at path: String) throws {
        let content: MappedBytes
        do { content = try MappedBytes(path: path, followLinks: false) } catch let failure as Failure
            where failure.code == .ioNotFound
        { throw ObjectStore.missing(path) }
        guard content.digest().hex == object else { throw ObjectStore.damaged(path) }
    }

    static func missing(_ path: String) -> Failure {
        Failure(
            .bankObjectMissing, "an adapter's object is missing", path: path,
            hint: "restore it from a backup, or import the adapter again")
    }

    static func damaged(_ path: String) -> Failure {
        Failure(
            .bankObjectDigest, "the object's bytes do not match its name: it is damaged", path: path,
            hint: "restore it from a backup, or import the adapter again; 'lorabank check --read-data' finds all")
    }

    /// Puts a finished, synchronised archive in its place.
    ///
    /// An object that is there already is compared by its digest and kept; a damaged one is replaced.
    /// - Returns: false when the object was there already. The archive at `path` may be gone or not afterwards.
    func place(_ path: String, as object: String) throws -> Bool {
        let folder = layout.objectFolder(object)
        if FileCalls.facts(folder) == nil {
            if mkdir(folder, 0o755) != 0, errno != EEXIST {
                throw FileCalls.failure("create the folder", path: folder)
            }
            FaultPoint.pass("mkdir")
            try DurableFiles.syncFolder(layout.objects)
        }
        let target = layout.objectFile(object)
        do {
            try DurableFiles.move(from: path, toNew: target)
        } catch let failure as Failure where failure.code == .outputExists {
            let existing = try MappedBytes(path: target, followLinks: false)
            if existing.digest().hex == object {
                // A later garbage collection counts the age of unused objects from here.
                utimensat(AT_FDCWD, target, nil, 0)
                return false
            }
            try DurableFiles.move(from: path, replacing: target)
        }
        try DurableFiles.syncFolder(folder)
        return true
    }

    /// Moves an object to the trash. Does nothing when it is not there.
    func discard(_ object: String) throws {
        guard contains(object) else { return }
        try DurableFiles.move(from: layout.objectFile(object), replacing: layout.trashFile(object))
        try DurableFiles.syncFolder(layout.trash)
        try DurableFiles.syncFolder(layout.objectFolder(object))
    }

    /// Makes sure that an object is in its place, from the trash if need be. Returns false when it is gone.
    func bringBack(_ object: String) throws -> Bool {
        if contains(object) { return true }
        guard FileCalls.facts(layout.trashFile(object)) != nil else { return false }
        return try place(layout.trashFile(object), as: object)
    }

    /// Every file in the store: digests from their names, and what does not belong there.
    func inventory() throws -> (objects: [(object: String, size: Int, modified: Int)], strangers: [String]) {
        var objects: [(object: String, size: Int, modified: Int)] = []
        var strangers: [String] = []
        for prefix in try FileCalls.names(in: layout.objects) {
            let folder = layout.objects + "/" + prefix
            guard FileCalls.facts(folder)?.isFolder == true else {
                strangers.append(folder)
                continue
            }
            for name in try FileCalls.names(in: folder) {
                let path = folder + "/" + name
                let object = name.hasSuffix(".tar") ? String(name.dropLast(4)) : ""
                guard let facts = FileCalls.facts(path), facts.isRegular, path == layout.objectFile(object),
                    object.utf8.count == 64
                else {
                    strangers.append(path)
                    continue
                }
                objects.append((object, facts.size, facts.modified))
            }
        }
        return (objects, strangers)
    }
}
