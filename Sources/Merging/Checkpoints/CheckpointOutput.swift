import Diagnostics
import Digests
import Tensors
import WeightFiles

/// The checkpoint that is being made: one file, or a folder with one file or shards. Can be taken up again.
struct CheckpointOutput: Sendable {
    /// What is kept of a finished tensor beside its bytes: enough to report it without looking at it again.
    struct Summary: Sendable, Hashable {
        var frobenius: Double
        var trimmedShare: Double?
        var maxError: Double
        var discardedEnergy = 0.0
        var rank: Int?
        var warnings: [String] = []
    }

    /// Where a tensor stands.
    private struct Place: Sendable {
        var file: Int
        var range: Range<Int>
    }

    let resumable: ResumableOutput
    /// Tensors that an earlier run made, by index of the declarations.
    let finished: [Int: Summary]
    private let places: [Place]
    private let index: String?
    private let isFolder: Bool
    /// Name of the weights, for records: the file, the only file of the folder, or its index.
    let weightsPath: String
    let byteCount: Int

    /// Largest file of a folder; above it the tensors go into shards. Decimal, as other tools count.
    static let shardLimit = 5_000_000_000

    /// - Parameters:
    ///   - tensors: sorted by name.
    ///   - digest: of recipe and inputs; with the layout it decides what an earlier run's output is worth.
    init(
        _ destination: MergeDestination, tensors: [TensorDeclaration], digest: SHA256Digest, overwrite: Bool,
        shardLimit: Int = CheckpointOutput.shardLimit
    ) throws {
        let (path, isFolder) =
            switch destination {
            case .folder(let folder): (folder, true)
            case .file(let file): (file, false)
            }
        self.isFolder = isFolder
        let groups = isFolder ? try CheckpointOutput.shards(tensors, limit: shardLimit) : [Array(tensors.indices)]
        let names = CheckpointOutput.names(count: groups.count)
        let layouts = try groups.map { group in
            try SafetensorsLayout(group.map { tensors[$0] }, metadata: ["format": "pt"])
        }
        var places = [Place?](repeating: nil, count: tensors.count)
        for (file, group) in groups.enumerated() {
            for tensor in group {
                guard let position = layouts[file].position(of: tensors[tensor].name) else { continue }
                places[tensor] = Place(file: file, range: layouts[file].entries[position].range)
            }
        }
        self.places = places.compactMap { $0 }
        var hasher = SHA256Hasher()
        hasher.update(Array(digest.hex.utf8))
        for layout in layouts { hasher.update(layout.header) }
        let resumable = try ResumableOutput(
            path: path, form: isFolder ? .folder : .file,
            files: zip(names, layouts).map { name, layout in ResumableOutput.File(name: name, size: layout.fileSize) },
            digest: hasher.finish(), overwrite: overwrite)
        self.resumable = resumable
        finished = resumable.finished.compactMapValues(Summary.init(line:))
        for (file, layout) in layouts.enumerated() {
            try layout.header.withUnsafeBytes { try resumable.write($0, file: file, at: 0) }
        }
        byteCount = layouts.reduce(0) { $0 + $1.fileSize }
        let folder = path.hasSuffix("/") ? path : path + "/"
        weightsPath = isFolder ? folder + (groups.count == 1 ? names[0] : CheckpointOutput.indexName) : path
        index = groups.count > 1 ? CheckpointOutput.indexText(groups, names, tensors, layouts) : nil
    }

    func write(_ bytes: UnsafeRawBufferPointer, tensor: Int, at offset: Int) throws {
        let place = places[tensor]
        guard offset + bytes.count <= place.range.count else {
            throw Failure(.internalDefect, "a tensor is longer than declared", path: weightsPath)
        }
        try resumable.write(bytes, file: place.file, at: place.range.lowerBound + offset)
    }

    /// Where in a block of the disk the byte at `offset` of a tensor lies.
    func placeInBlock(tensor: Int, at offset: Int) -> Int {
        (places[tensor].range.lowerBound + offset) % ResumableOutput.block
    }

    func finish(_ tensor: Int, _ summary: Summary) throws {
        try resumable.finish(tensor, text: summary.line, bytes: places[tensor].range.count)
    }

    /// Makes the checkpoint visible.
    ///
    /// - Parameter complete: fills the folder with what belongs beside the weights.
    func commit(_ complete: (String) throws -> Void) throws {
        if isFolder {
            let folder = resumable.temporaryPath
            if let index {
                try AtomicFile.write(Array(index.utf8), to: folder + "/" + CheckpointOutput.indexName, overwrite: true)
            }
            try complete(folder)
        }
        try resumable.commit()
    }

    // MARK: Shards

    private static let indexName = "model.safetensors.index.json"

    private static func names(count: Int) -> [String] {
        guard count > 1 else { return ["model.safetensors"] }
        func digits(_ number: Int) -> String {
            let text = String(number)
            return String(repeating: "0", count: max(0, 5 - text.count)) + text
        }
        return (1...count).map { "model-\(digits($0))-of-\(digits(count)).safetensors" }
    }

    /// Tensors in order of their names, as many to a file as the limit allows.
    private static func shards(_ tensors: [TensorDeclaration], limit: Int) throws -> [[Int]] {
        var groups: [[Int]] = [[]]
        var size = 0
        for (index, tensor) in tensors.enumerated() {
            let bytes = tensor.shape.reduce(1, *) * tensor.dtype.bits / 8
            if size > 0, size + bytes > limit {
                groups.append([])
                size = 0
            }
            groups[groups.count - 1].append(index)
            size += bytes
        }
        return groups
    }

    private static func indexText(
        _ groups: [[Int]], _ names: [String], _ tensors: [TensorDeclaration], _ layouts: [SafetensorsLayout]
    ) -> String {
        let total = layouts.reduce(0) { $0 + $1.fileSize - $1.header.count }
        var map: [JSONValue.Member] = []
        for (group, name) in zip(groups, names) {
            for tensor in group { map.append(.init(tensors[tensor].name, .string(name))) }
        }
        let document = JSONValue.object([
            .init("metadata", .object([.init("total_size", .integer(total))])), .init("weight_map", .object(map)),
        ])
        return document.text(.indented(2), asciiOnly: false) + "\n"
    }
}

extension CheckpointOutput.Summary {
    /// One line of the journal.
    var line: String {
        JSONValue.object([
            .init("f", .string(String(frobenius.bitPattern, radix: 16))),
            .init("e", .string(String(maxError.bitPattern, radix: 16))),
            .init("d", .string(String(discardedEnergy.bitPattern, radix: 16))),
            .init("t", trimmedShare.map { .string(String($0.bitPattern, radix: 16)) } ?? .null),
            .init("r", rank.map { .integer($0) } ?? .null), .init("w", .array(warnings.map { .string($0) })),
        ]).text(.compact)
    }

    init?(line: String) {
        guard let value = try? StrictJSON.parse(line, .configuration), let frobenius = Self.number(value["f"]),
            let maxError = Self.number(value["e"]), let discarded = Self.number(value["d"])
        else { return nil }
        self.frobenius = frobenius
        self.maxError = maxError
        discardedEnergy = discarded
        trimmedShare = Self.number(value["t"])
        rank = value["r"]?.integer
        warnings = value["w"]?.array?.compactMap(\.string) ?? []
    }

    private static func number(_ value: JSONValue?) -> Double? {
        value?.string.flatMap { UInt64($0, radix: 16) }.map { Double(bitPattern: $0) }
    }
}
