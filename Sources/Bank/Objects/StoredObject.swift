import Adapters
import Diagnostics
import Digests
import WeightFiles

/// An object of the store, mapped: its files can be read in place.
struct StoredObject {
    let archive: BankArchiveReader
    let manifest: ObjectManifest

    /// - Throws: `bank.corrupt`, `bank.object_missing`.
    init(path: String) throws {
        do { archive = try BankArchiveReader(path: path) } catch let failure as Failure
            where failure.code == .ioNotFound
        {
            throw Failure(
                .bankObjectMissing, "an adapter's object is missing", path: path,
                hint: "restore it from a backup, or import the adapter again")
        }
        guard archive.members.first?.name == ObjectManifest.memberName else {
            throw Failure(.bankCorrupt, "the object does not begin with its manifest", path: path)
        }
        manifest = try ObjectManifest(parsing: archive.open(ObjectManifest.memberName).bytes, path: path)
    }

    /// The adapter, with weights in place.
    func adapter() throws -> Adapter {
        var options = manifest.reading.options
        options.digestsFiles = false
        var adapter = try AdapterReader.read(from: ObjectSource(self), options: options)
        for file in manifest.files where file.kind == ObjectFile.weights {
            adapter.fileDigests[file.name] = SHA256Digest(hex: file.digest)
        }
        return adapter
    }

    /// SHA-256 of the whole archive.
    func digest() -> String { MappedBytes(archive.file).digest().hex }

    /// Compares every member with the manifest.
    ///
    /// - Throws: `bank.object_digest`, `bank.corrupt`.
    func verifyMembers() throws {
        let names = [ObjectManifest.memberName] + manifest.files.map(\.member)
        guard archive.members.map(\.name) == names else {
            throw Failure(.bankCorrupt, "the members of the object are not those of its manifest", path: archive.path)
        }
        for file in manifest.files {
            let content = try archive.open(file.member)
            guard content.count == file.size, content.digest().hex == file.digest else {
                throw Failure(
                    .bankObjectDigest, "a file of the object differs from its digest", path: archive.path,
                    place: file.name, hint: "restore the object from a backup, or import the adapter again")
            }
        }
    }
}

/// The files of an object under the names that they came with.
struct ObjectSource: FileSource {
    let path: String
    private let archive: BankArchiveReader
    private let members: [String: String]

    init(_ object: StoredObject) {
        path = object.archive.path
        archive = object.archive
        var members: [String: String] = [:]
        for file in object.manifest.files {
            // A bare weight file has any name; the reader looks for the one that adapter folders use.
            let isBareWeights = object.manifest.reading.isBareFile && file.kind == ObjectFile.weights
            members[isBareWeights ? "adapter_model.safetensors" : file.name] = file.member
        }
        self.members = members
    }

    func fileNames() -> [String] { members.keys.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) } }

    func contains(_ name: String) -> Bool { members[name] != nil }

    func open(_ name: String) throws -> MappedBytes {
        guard let member = members[name] else {
            throw Failure(.ioNotFound, "the object has no file '\(name)'", path: path)
        }
        return try archive.open(member)
    }
}

extension ObjectFile {
    /// `kind` of weight files.
    static let weights = AdapterFile.Role.weights.rawValue
}
