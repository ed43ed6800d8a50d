import Adapters
import Diagnostics
import Tensors
import WeightFiles

/// Puts the merged adapter in its place: a folder as PEFT reads it, or a single weight file. Nothing is visible before
/// `commit`.
struct AdapterWriting: Sendable {
    private let destination: MergeDestination
    private let folder: AtomicFolder?
    private let overwrite: Bool

    /// - Throws: `output.exists`, `io.*`.
    init(_ destination: MergeDestination, overwrite: Bool) throws {
        self.destination = destination
        self.overwrite = overwrite
        switch destination {
        case .folder(let path): folder = try AtomicFolder(path: path, overwrite: overwrite)
        case .file(let path):
            AbandonedOutput.remove(for: path)
            folder = nil
        }
    }

    /// The weight file under its final name.
    var weightsPath: String {
        switch destination {
        case .folder(let path): (path.hasSuffix("/") ? path : path + "/") + PEFTWriter.weightsName
        case .file(let path): path
        }
    }

    /// A folder on the same disk as the result, for temporary files.
    var scratchFolder: String {
        if let folder { return folder.temporaryPath }
        guard let slash = weightsPath.lastIndex(of: "/") else { return "." }
        return slash == weightsPath.startIndex ? "/" : String(weightsPath[..<slash])
    }

    /// Declares all tensors and makes room for them.
    func open(_ layout: PEFTLayout, base: BaseIdentity, source: Adapter?) throws -> Sink {
        let declarations = layout.tensors.map { TensorDeclaration($0.name, $0.dtype, $0.shape) }
        let path = folder?.file(PEFTWriter.weightsName) ?? weightsPath
        let writer = try SafetensorsWriter(
            path: path, layout: try SafetensorsLayout(declarations, metadata: PEFTWriter.metadata),
            overwrite: overwrite, bypassingCache: true)
        if let folder {
            let configuration = PEFTWriter.configuration(for: layout, base: base, source: source?.configuration)
            try AtomicFile.write(
                Array((configuration.text(.indented(2)) + "\n").utf8), to: folder.file(PEFTWriter.configurationName))
        }
        var positions: [PEFTLayout.Part: Int] = [:]
        for tensor in layout.tensors { positions[tensor.part] = writer.layout.position(of: tensor.name) }
        return Sink(writer: writer, folder: folder, positions: positions)
    }

    /// Takes the tensors in any order, from any thread.
    struct Sink: Sendable {
        fileprivate let writer: SafetensorsWriter
        fileprivate let folder: AtomicFolder?
        fileprivate let positions: [PEFTLayout.Part: Int]

        func write(_ bytes: UnsafeRawBufferPointer, as part: PEFTLayout.Part) throws {
            guard let position = positions[part] else {
                throw Failure(.internalDefect, "a tensor was not declared", hint: "please report this")
            }
            try writer.write(bytes, to: position)
        }

        /// Makes everything visible.
        ///
        /// - Returns: the bytes of the weight file.
        func commit() throws -> Int {
            try writer.commit()
            try folder?.commit()
            return writer.layout.fileSize
        }
    }
}
